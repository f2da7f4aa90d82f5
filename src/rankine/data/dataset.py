"""Dataset: the three tables and what their columns mean. Immutable; outside ids only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import polars as pl

from rankine.data.schema import EVENT_COLUMNS, Kind, Schema, kind_of
from rankine.errors import DataError, closest

EMPTY_USERS = pl.DataFrame(schema={"user_id": pl.String})
EMPTY_ITEMS = pl.DataFrame(schema={"item_id": pl.String})


@dataclass(frozen=True)
class Dataset:
    """Users, items and events.

    events: user_id, item_id, event_type (String); timestamp (Float64, Unix seconds); optional value (Float64),
    session_id (String), `split` (String) and context columns; ordered by time where there is one, ties in the order of the file.
    users, items: one row per id. Either may be empty: ids without a row are allowed.
    """

    events: pl.DataFrame
    users: pl.DataFrame = field(default_factory=EMPTY_USERS.clone)
    items: pl.DataFrame = field(default_factory=EMPTY_ITEMS.clone)
    schema: Schema = field(default_factory=Schema)
    name: str = "data"

    @classmethod
    def from_frames(
        cls,
        events: pl.DataFrame,
        users: pl.DataFrame | None = None,
        items: pl.DataFrame | None = None,
        schema: Schema | None = None,
        name: str = "data",
    ) -> Dataset:
        """A dataset from frames already in our column names; kinds not given in the schema are inferred.

        A missing event_type becomes `view`, or `rating` where there is a `value`. Raises DataError.
        """
        schema = schema or Schema()
        if "item_id" not in events.columns:
            raise DataError(
                f"events need the column `item_id`; got {events.columns}{closest('item_id', events.columns)}"
            )
        if "event_type" not in events.columns:
            default = "rating" if "value" in events.columns else "view"
            events = events.with_columns(pl.lit(default).alias("event_type"))
        if "user_id" not in events.columns:
            events = events.with_columns(pl.lit(None, pl.String).alias("user_id"))
        tables = {
            "events": events,
            "users": EMPTY_USERS if users is None else users,
            "items": EMPTY_ITEMS if items is None else items,
        }
        _check_tables(tables)
        kinds = {
            name: {**{c: kind_of(c, t) for c, t in frame.schema.items()}, **getattr(schema, name)}
            for name, frame in tables.items()
        }
        kinds = {name: {c: k for c, k in kinds[name].items() if c in frame.columns} for name, frame in tables.items()}
        tables = {name: _cast(frame, kinds[name], name) for name, frame in tables.items()}
        if "timestamp" in tables["events"].columns:
            tables["events"] = tables["events"].sort("timestamp", maintain_order=True)
        if n_untyped := tables["events"]["event_type"].null_count():
            raise DataError(f"{n_untyped} events have no `event_type`: name one, or leave the column out")
        for event_type in tables["events"]["event_type"].unique().to_list():
            schema.event_type(event_type)
        schema = replace(schema, users=kinds["users"], items=kinds["items"], events=kinds["events"])
        return cls(tables["events"], tables["users"], tables["items"], schema, name)

    @property
    def has_time(self) -> bool:
        """Whether events carry a timestamp."""
        return "timestamp" in self.events.columns

    @property
    def has_sessions(self) -> bool:
        """Whether events carry a session_id."""
        return "session_id" in self.events.columns

    def with_events(self, events: pl.DataFrame) -> Dataset:
        """The same users, items and schema around other events."""
        return replace(self, events=events)

    def extended(self, events: pl.DataFrame) -> Dataset:
        """The same with the events of another dataset behind those of their time; only columns known here are kept.

        Raises DataError for a column that does not fit.
        """
        schema = self.events.schema
        try:
            more = events.select(pl.col(name).cast(schema[name]) for name in events.columns if name in schema)
        except pl.exceptions.PolarsError as error:
            raise DataError(f"a column of the new events does not fit: {str(error).splitlines()[0]}") from None
        both = pl.concat([self.events, more], how="diagonal")
        return self.with_events(both.sort("timestamp", maintain_order=True) if self.has_time else both)

    def fingerprint(self) -> str:
        """A hash of the events: equal for equal events in the same order."""
        return fingerprint(self.events)


def fingerprint(events: pl.DataFrame) -> str:
    """A hash of who met what when: tells whether two parts of the code saw the same events."""
    columns = [c for c in EVENT_COLUMNS if c in events.columns]
    hashes = events.select(columns).hash_rows(seed=0)
    return hashlib.blake2b(hashes.to_numpy().tobytes(), digest_size=12).hexdigest()


def _check_tables(tables: dict[str, pl.DataFrame]) -> None:
    """Raise DataError where a side table has no id column, or not exactly one row per id."""
    for table, column in (("users", "user_id"), ("items", "item_id")):
        frame = tables[table]
        if column not in frame.columns:
            raise DataError(f"{table} need the column `{column}`; got {frame.columns}")
        if frame[column].null_count() or frame[column].n_unique() != len(frame):
            got = f"{len(frame)} rows of {frame[column].n_unique()} ids"
            raise DataError(f"{table} need one row per `{column}`; got {got}: keep one of each")


def _cast(frame: pl.DataFrame, kinds: dict[str, Kind], table: str) -> pl.DataFrame:
    def column(name: str) -> pl.Expr:
        expression, dtype = pl.col(name), frame.schema[name]
        if kinds[name] is Kind.TIME and dtype.is_temporal():
            expression = expression.cast(pl.Datetime("us")).dt.epoch("us") / 1e6
        elif kinds[name] is Kind.TIME and dtype.is_float() and frame[name].is_nan().any():
            expression = expression.fill_nan(None)
        elif kinds[name].dtype == pl.String and dtype.is_float():  # 17 beside a null is often stored as 17.0
            expression = expression.fill_nan(None)
            whole = expression.cast(pl.Int64, strict=False)
            expression = pl.when(whole == expression).then(whole.cast(pl.String)).otherwise(expression.cast(pl.String))
        return expression.cast(kinds[name].dtype, strict=True).alias(name)

    try:
        return frame.with_columns([column(name) for name in kinds])
    except pl.exceptions.InvalidOperationError as error:
        raise DataError(f"a column of {table} does not fit its kind: {str(error).splitlines()[0]}") from None
