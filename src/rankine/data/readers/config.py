"""Where a dataset lies and what its columns are called: the settings shared by recipes and a folder's schema.toml."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rankine.config import from_dict, read_toml
from rankine.data.schema import EVENT_TYPES, EventType, Kind, Rules
from rankine.errors import ConfigError, DataError, closest

Format = Literal["parquet", "csv", "jsonl"]
FORMATS: dict[str, Format] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
TABLES = ("users", "items", "events")


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """One table: its files, and how their columns become ours.

    file: one name, several that are read one after another, or {split: name}, which adds the column `split`;
        left out, the table's own name with any known extension.
    columns: {our name: name in the file}. Columns not mentioned keep their name, or are left out with `only_mapped`.
    kinds: {our name: kind}, for columns whose kind cannot be told from name and type.
    constants: {our name: value} for columns the file does not have.
    where: an SQL expression over the file's columns; rows for which it is not true are counted as filtered.
    explode: a list column of the file, one row per element in order.
    drop: our columns to leave out.
    distinct: users or items are taken from a log: the last row of each id; the others count as filtered.
    """

    file: str | tuple[str, ...] | Mapping[str, str] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    only_mapped: bool = False
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    constants: Mapping[str, str | int | float] = field(default_factory=dict)
    where: str | None = None
    explode: str | None = None
    drop: tuple[str, ...] = ()
    distinct: bool = False


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """A folder of tables (or one file of events), and what its columns and event types mean.

    What is left out here is looked up in the folder's schema.toml, then falls back to the usual names.
    """

    path: str
    users: TableConfig | None = None
    items: TableConfig | None = None
    events: TableConfig | None = None
    event_types: Mapping[str, EventType] = field(default_factory=dict)
    rules: Rules | None = None


@dataclass(frozen=True)
class Source:
    """One file of a table; `split` is the value of the column of that name, where file names carry it."""

    path: Path
    label: str
    format: Format
    split: str | None = None


@dataclass(frozen=True)
class Layout:
    """A DataConfig with every question answered: the folder, the tables found in it, the event types and the rules."""

    name: str
    folder: Path
    config: DataConfig
    sources: Mapping[str, tuple[Source, ...]]
    event_types: Mapping[str, EventType]
    rules: Rules

    def table(self, name: str) -> TableConfig:
        """The settings of a table; the defaults where nothing is said."""
        return getattr(self.config, name) or TableConfig()

    def duplicate_rule(self, name: str) -> str:
        """What the rules say about a second row for a user or item: error, first or last."""
        return self.rules.duplicate_user if name == "users" else self.rules.duplicate_item


def resolve(config: DataConfig | str | Path, root: Path | None = None) -> Layout:
    """What to read: the configuration completed by schema.toml, and its files found.

    A relative path counts from `root`. Raises ConfigError and DataError.
    """
    if not isinstance(config, DataConfig):
        config = DataConfig(path=str(config))
    path = (root or Path()) / Path(config.path).expanduser()
    if not path.exists():
        raise DataError(f"no file or folder `{path}`: `path` must be a dataset folder or a file of events")
    if path.is_file():
        events = dataclasses.replace(config.events or TableConfig(), file=path.name)
        return _layout(path.stem, path.parent, dataclasses.replace(config, events=events), ("events",))
    return _layout(path.resolve().name, path, _complete(config, path), TABLES)


def _layout(name: str, folder: Path, config: DataConfig, tables: tuple[str, ...]) -> Layout:
    sources = {table: _sources(folder, table, getattr(config, table)) for table in tables}
    if not sources["events"]:
        found = ", ".join(f"`{p.name}`" for p in sorted(folder.iterdir())[:12]) or "nothing"
        raise DataError(f"no events in `{folder}`: expected events.parquet, .csv or .jsonl, or `file`; found {found}")
    found_tables = {table: files for table, files in sources.items() if files}
    event_types = {**EVENT_TYPES, **config.event_types}
    return Layout(name, folder, config, found_tables, event_types, config.rules or Rules())


def _complete(config: DataConfig, folder: Path) -> DataConfig:
    file = folder / "schema.toml"
    if not file.exists():
        return config
    written = {"path": config.path, **read_toml(file)}
    base = from_dict(DataConfig, written, f"`{file.name}`")
    said = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    said["event_types"] = {**base.event_types, **config.event_types}
    return dataclasses.replace(base, **{name: value for name, value in said.items() if value is not None})


def _sources(folder: Path, table: str, config: TableConfig | None) -> tuple[Source, ...]:
    if config is None or config.file is None:
        found = [folder / f"{table}{extension}" for extension in FORMATS if (folder / f"{table}{extension}").exists()]
        if len(found) > 1:
            names = " and ".join(f"`{p.name}`" for p in found)
            raise DataError(f"both {names} exist: name one with `file` under [{table}] in schema.toml or the recipe")
        if config is not None and not found:
            raise DataError(f"no `{table}.parquet`, .csv or .jsonl in `{folder}`: name it with `file` under [{table}]")
        return tuple(_source(folder, p.name, None) for p in found)
    return tuple(_source(folder, name, split) for name, split in _names(config.file, table))


def _names(file: str | tuple[str, ...] | Mapping[str, str], table: str) -> Iterator[tuple[str, str | None]]:
    if not file:
        raise ConfigError(f"`file` of {table} is empty: expected at least one file name")
    if isinstance(file, str):
        yield file, None
    elif isinstance(file, Mapping):
        yield from ((name, split) for split, name in file.items())
    else:
        yield from ((name, None) for name in file)


def _source(folder: Path, name: str, split: str | None) -> Source:
    path = folder / name
    if not path.is_file():
        valid: list[Any] = [p.name for p in folder.iterdir() if p.is_file()] if folder.is_dir() else []
        raise DataError(f"no file `{path}`{closest(name, valid)}")
    if path.suffix.lower() not in FORMATS:
        raise DataError(f"`{path.name}` has an unknown extension; expected one of {', '.join(FORMATS)}")
    return Source(path, name, FORMATS[path.suffix.lower()], split)
