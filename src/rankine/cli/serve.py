"""rankine serve: a run over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from rankine.cli.show import console
from rankine.errors import ConfigError
from rankine.runs import Run


def serve_command(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    log_path: Annotated[
        Path | None, typer.Option(help="The event log; default beside the run folder, RUN.events.sqlite.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="name=value for any other setting of docs/settings.md.")
    ] = None,
) -> None:
    """Answer over HTTP: events in, rankings out."""
    from rankine.serving import Settings, serve

    opened = Run.open(run)
    beside = opened.folder.with_name(opened.folder.name + ".events.sqlite")
    named = {"host": host, "port": port, "log_path": None if log_path is None else str(log_path)}
    given = {name: value for name, value in named.items() if value is not None}
    flags = {**dict(_setting(text) for text in set_ or []), **given}
    settings = Settings.read(flags, {"RANKINE_LOG_PATH": str(beside), **os.environ})
    serve(
        opened.pipeline(),
        opened.schema,
        opened.visitors(),
        settings,
        opened.name,
        announce=lambda url: console.print(f"Serving {opened.name} on {url}, events in {settings.log_path}"),
    )


def _setting(text: str) -> tuple[str, object]:
    """name=value as typed; numbers become numbers."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set expects name=value; got {text!r}")
    for number in (int, float):
        try:
            return name, number(value)
        except ValueError:
            continue
    return name, value
