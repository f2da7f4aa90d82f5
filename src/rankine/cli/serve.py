"""rankine serve: a run over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rankine.cli.show import console
from rankine.runs import Run


def serve_command(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    log: Annotated[Path | None, typer.Option(help="The event log; default RUN/events.sqlite.")] = None,
) -> None:
    """Answer over HTTP: events in, rankings out."""
    from rankine.serving import Settings, serve

    opened = Run.open(run)
    given = {"host": host, "port": port, "log_path": str(log or opened.folder / "events.sqlite")}
    settings = Settings.from_env(**{name: value for name, value in given.items() if value is not None})
    console.print(f"Serving {opened.name} on http://{settings.host}:{settings.port} (events in {settings.log_path})")
    serve(opened.pipeline(), opened.schema, opened.visitors(), settings, opened.name)
