"""Which rows of a file are read: one per element of a list, and those that an expression keeps."""

from __future__ import annotations

import dataclasses
from typing import cast

import polars as pl

from rankine.data.readers.chunks import REFUSALS
from rankine.data.readers.convert import strings
from rankine.data.readers.raw import Raw
from rankine.errors import ConfigError, closest

TEXT = "rankine.text."


def exploded(raw: Raw, column: str, label: str) -> Raw:
    """One row per element of a list column, in order. Raises ConfigError for another column."""
    schema = raw.rows.collect_schema()
    if column not in schema:
        raise ConfigError(f"`explode` names `{column}`, not a column of `{label}`{closest(column, raw.columns)}")
    rows, dtype = raw.rows, schema[column]
    if dtype == pl.String and raw.types[column].is_nested():
        rows, dtype = rows.with_columns(strings(pl.col(column), pl.String()).alias(column)), pl.List(pl.String)
    if not isinstance(dtype, pl.List):
        raise ConfigError(f"`explode` needs a column of lists; `{column}` of `{label}` has type {dtype}")
    types = {**raw.types, column: cast(pl.DataType, dtype.inner)}
    filled = pl.when(pl.col(column).list.len() > 0).then(pl.col(column))  # an empty list becomes a row without a value
    return dataclasses.replace(raw, rows=rows.with_columns(filled).explode(column), types=types)


def filtered(raw: Raw, where: str, label: str) -> Raw:
    """The rows for which an SQL expression over the file's columns is true; text that holds numbers counts as numbers.

    Raises ConfigError for an expression that cannot be evaluated.
    """
    schema = raw.rows.collect_schema()
    try:
        condition = pl.sql_expr(where)
        roots = condition.meta.root_names()
    except REFUSALS as error:
        raise ConfigError(f"`where` of `{label}` is not an SQL expression: {_first_line(error)}") from None
    for name in roots:
        if name not in schema:
            raise ConfigError(f"`where` names `{name}`, not a column of `{label}`{closest(name, raw.columns)}")
    texts = [name for name in roots if schema[name] == pl.String and raw.types[name].is_numeric()]
    typed = raw.rows.with_columns(pl.col(name).alias(TEXT + name) for name in texts)
    typed = typed.with_columns(pl.col(name).cast(pl.Float64, strict=False) for name in texts)
    try:
        dtype = typed.limit(0).select(condition.alias("where")).collect().schema["where"]
    except REFUSALS as error:
        types = ", ".join(f"`{name}` is {'text' if schema[name] == pl.String else schema[name]}" for name in roots)
        raise ConfigError(f"`where` of `{label}` does not fit its columns ({types}): {_first_line(error)}") from None
    if dtype != pl.Boolean:
        raise ConfigError(f"`where` of `{label}` must be true or false for each row; {where!r} has type {dtype}")
    kept = typed.filter(condition).with_columns(pl.col(TEXT + name).alias(name) for name in texts)
    return dataclasses.replace(raw, rows=kept.drop(TEXT + name for name in texts))


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0]
