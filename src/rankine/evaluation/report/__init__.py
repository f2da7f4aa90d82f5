"""The report of a run: one HTML file that opens offline, prints, and works without scripts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from rankine.errors import DataError
from rankine.evaluation.report.page import page

__all__ = ["render", "write"]

HERE = Path(__file__).parent


def render(results: Mapping[str, Any]) -> str:
    """The report as HTML, from the content of a `metrics.json`. Raises DataError for a part of the wrong kind."""
    if not isinstance(results, Mapping):
        raise DataError(f"`results` must be a mapping; got {type(results).__name__}: pass the content of metrics.json")
    style, script = _asset("rankine.css"), _asset("theme.js")
    return _template().render(page(results), style=Markup(style), script=Markup(script), policy=policy(style, script))


def write(results: Mapping[str, Any], path: Path) -> None:
    """Write the report to `path`."""
    path.write_text(render(results), encoding="utf-8")


def policy(style: str, script: str) -> str:
    """The Content-Security-Policy that allows this style and this script, and no request to anywhere."""
    allowed = f"style-src {_hash(style)}; script-src {_hash(script)}; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").strip()


@cache
def _template() -> Template:
    loader = FileSystemLoader(HERE)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html")
