"""Example rankings: requests from the test part and what they were shown, the true next item framed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rankine.evaluation.report.glyphs import Pictures
from rankine.evaluation.report.values import rows, whole
from rankine.evaluation.report.words import count_word, sentence

SOURCES = {
    "session": "this session",
    "history": "history",
    "together": "bought together",
    "context": "context",
    "popular": "popular",
    "content": "content",
}


def examples(results: Mapping[str, Any]) -> dict[str, Any] | None:
    """The examples and the sentence above them, or `None` if there are none."""
    pictures = Pictures()
    found = [_example(row, pictures) for row in rows(results, "examples")]
    if not found:
        return None
    models = list(dict.fromkeys(e["model"] for e in found if e["model"]))
    by = f", answered by {models[0]}" if len(models) == 1 else ""
    framed = any(item["target"] for e in found for item in e["rows"])
    frame = " Green frame: the item that came next, where it is among those shown." if framed else ""
    said = f"{sentence(count_word(len(found)))} {'request' if len(found) == 1 else 'requests'}"
    return {"text": f"{said} from the test part{by}.{frame}", "examples": found, "one_model": len(models) == 1}


def _example(example: Mapping[str, Any], pictures: Pictures) -> dict[str, Any]:
    shown = []
    for place, row in enumerate(rows(example, "rows"), 1):
        title = str(row.get("title") or row.get("item_id") or "item")
        category = _category(row.get("category"))
        shown.append(
            {
                "rank": whole(row.get("rank")) or place,
                "title": title,
                "category": category,
                "target": bool(row.get("target")),
                "source": source if (source := str(row.get("source"))) in SOURCES else None,
                "picture": pictures.tile(title, category),
            }
        )
    return {"title": example.get("title"), "text": example.get("text"), "model": example.get("model"), "rows": shown}


def _category(value: Any) -> str | None:
    if isinstance(value, (list, tuple)):
        return ", ".join(str(part) for part in value) or None
    return str(value) if value else None
