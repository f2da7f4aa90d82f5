"""From a column as it stands in the file to a column of a kind, and what makes a value unreadable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson
import polars as pl

from rankine.data.readers import times
from rankine.data.schema import Kind

OUT = "rankine.out."  # converted columns stand beside the file's own until the faults are known
Faults = list[tuple[str, pl.Expr]]


@dataclass(frozen=True)
class Facts:
    """What must be known of a whole column before one value can be judged."""

    unit: str = "seconds"  # of its numbers, for times
    has_text: bool = True  # some of its times are not numbers
    bounded: bool = True  # every time must lie within 1990 .. 2100, not only those written as numbers
    length: int | None = None  # of its vectors


@dataclass(frozen=True)
class Conversion:
    """An expression over the file's columns, and (what was expected, the rows at fault) over theirs and ours."""

    value: pl.Expr
    faults: Faults


def convert(name: str, theirs: str, dtype: pl.DataType, kind: Kind, facts: Facts) -> Conversion:
    """How the file's column `theirs` becomes our column `name` of a kind."""
    raw, out = pl.col(theirs), pl.col(OUT + name)
    value, faults = CONVERTERS[kind](raw, out, dtype, facts)
    return Conversion(value.cast(kind.dtype).alias(OUT + name), faults)


def present(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Whether there is a value: neither null nor blank text."""
    if dtype == pl.String:
        return (raw.str.strip_chars() != "").fill_null(False)
    return raw.is_not_null()


def is_supported(dtype: pl.DataType) -> bool:
    """Whether a column of this type can be given a kind: objects, bytes and lists of lists cannot."""
    inner = getattr(dtype, "inner", None) if dtype.is_nested() else dtype
    return inner is not None and not inner.is_nested() and inner not in (pl.Binary, pl.Object, pl.Duration, pl.Time)


def _text(raw: pl.Expr, out: pl.Expr, dtype: pl.DataType, facts: Facts) -> tuple[pl.Expr, Faults]:
    if dtype.is_nested():
        return pl.lit(None), [("expected one value; got a list", raw.is_not_null())]
    return as_text(raw, dtype), [("expected a finite number", raw.is_not_null() & ~raw.is_finite())] if (
        dtype.is_float()
    ) else []


def as_text(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Single values as text, whole numbers without a fraction; blank text is null."""
    if dtype == pl.String:
        return pl.when(raw.str.strip_chars() != "").then(raw)
    if dtype.is_float():
        whole = raw.cast(pl.Int64, strict=False)
        return pl.when(whole == raw).then(whole.cast(pl.String)).otherwise(raw.cast(pl.String))
    return raw.cast(pl.String)


def _id(raw: pl.Expr, out: pl.Expr, dtype: pl.DataType, facts: Facts) -> tuple[pl.Expr, Faults]:
    value, faults = _text(raw, out, dtype, facts)
    if dtype == pl.String:
        structure = raw.str.starts_with("[") & raw.str.ends_with("]") | raw.str.starts_with("{") & raw.str.ends_with(
            "}"
        )
        faults = [("expected an id: text or a number", structure)]
    elif dtype == pl.Boolean:
        faults = [("expected an id: text or a number", raw.is_not_null())]
    return value, faults


def _number(raw: pl.Expr, out: pl.Expr, dtype: pl.DataType, facts: Facts) -> tuple[pl.Expr, Faults]:
    readable = dtype == pl.String or dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)
    value = times.numeric(raw, dtype) if readable else pl.lit(None, pl.Float64)
    unreadable = out.is_null() & present(raw, dtype)
    return value, [("expected a number", unreadable), ("expected a finite number", ~out.is_finite())]


def _time(raw: pl.Expr, out: pl.Expr, dtype: pl.DataType, facts: Facts) -> tuple[pl.Expr, Faults]:
    outside = (out < times.EARLIEST) | (out >= times.LATEST)
    if dtype.is_temporal():
        value, checked = times.from_temporal(raw), pl.lit(facts.bounded)
    elif dtype == pl.String:
        numbers = times.numeric(raw, dtype)
        value = numbers / times.UNITS[facts.unit]
        value = pl.coalesce(value, times.from_iso(raw)) if facts.has_text else value
        checked = pl.lit(True) if facts.bounded else numbers.is_not_null()
    elif dtype.is_numeric() or dtype == pl.Null:
        value, checked = times.numeric(raw, dtype) / times.UNITS[facts.unit], pl.lit(True)
    else:
        value, checked = pl.lit(None, pl.Float64), pl.lit(True)
    expected = "expected a time: Unix seconds, milliseconds or microseconds, or ISO 8601"
    return value, [
        (expected, out.is_null() & present(raw, dtype)),
        ("expected a finite number", ~out.is_finite()),
        (f"expected a time between 1990 and 2100 (the column is in {facts.unit})", outside & checked),
    ]


def strings(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Lists of text; from text, a JSON list or one value. A list within the list is a null."""
    if dtype == pl.String:
        maybe = pl.when(raw.str.contains(r"^\s*\[")).then(raw)
        many = maybe.map_elements(_json_list, return_dtype=pl.List(pl.String))
        return pl.coalesce(many, pl.when(raw.str.strip_chars() != "").then(pl.concat_list(raw)))
    if dtype.is_nested():
        return raw.cast(pl.List(pl.String)).list.drop_nulls()
    return pl.when(raw.is_not_null()).then(pl.concat_list(as_text(raw, dtype)))


def _json_list(text: str) -> list[str | None] | None:
    """The values of a JSON list as text, nulls left out, lists and objects as None; None for any other text."""
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(values, list):
        return None
    return [_json_text(value) for value in values if value is not None]


def _json_text(value: object) -> str | None:
    if isinstance(value, (list, dict)):
        return None
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _categories(raw: pl.Expr, out: pl.Expr, dtype: pl.DataType, facts: Facts) -> tuple[pl.Expr, Faults]:
    nested = out.list.eval(pl.element().is_null()).list.any()
    return strings(raw, dtype), [("expected a list of single values", nested)]


def floats(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Lists of numbers; from text, what stands between commas, with or without brackets. Not a number: null inside."""
    if dtype == pl.String:
        bare = raw.str.replace_all(r"[\s\"]", "").str.strip_chars("[]()")
        return pl.when(bare != "").then(bare).str.split(",").cast(pl.List(pl.Float64), strict=False)
    if dtype.is_nested():
        return raw.cast(pl.List(pl.Float64), strict=False)
    return pl.when(raw.is_not_null()).then(pl.concat_list(raw.cast(pl.Float64, strict=False)))


def _unsound(out: pl.Expr) -> pl.Expr:
    element = pl.element()
    return out.list.eval(element.is_null() | ~element.is_finite()).list.any()


def _geo(raw: pl.Expr, out: pl.Expr, dtype: pl.DataType, facts: Facts) -> tuple[pl.Expr, Faults]:
    wrong = (out.list.len() != 2) | _unsound(out) | out.is_null() & present(raw, dtype)
    outside = (out.list.get(0, null_on_oob=True).abs() > 90) | (out.list.get(1, null_on_oob=True).abs() > 180)
    return floats(raw, dtype), [
        ("expected two numbers: latitude, longitude", wrong),
        ("expected latitude within 90 and longitude within 180 degrees", outside),
    ]


def _vector(raw: pl.Expr, out: pl.Expr, dtype: pl.DataType, facts: Facts) -> tuple[pl.Expr, Faults]:
    wrong = _unsound(out) | out.is_null() & present(raw, dtype)
    if facts.length is not None:
        wrong = wrong | (out.list.len() != facts.length)
    return floats(raw, dtype), [(f"expected a list of {facts.length} finite numbers", wrong)]


Converter = Callable[[pl.Expr, pl.Expr, pl.DataType, Facts], tuple[pl.Expr, Faults]]
CONVERTERS: dict[Kind, Converter] = {
    Kind.ID: _id,
    Kind.CATEGORY: _text,
    Kind.CATEGORIES: _categories,
    Kind.NUMBER: _number,
    Kind.TEXT: _text,
    Kind.TIME: _time,
    Kind.GEO: _geo,
    Kind.VECTOR: _vector,
}
