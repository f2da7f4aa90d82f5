"""Runs the service on a socket until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable

import polars as pl
import uvicorn

from rankine.data.schema import Schema
from rankine.errors import ConfigError
from rankine.pipeline import Pipeline
from rankine.serving.app import create_app
from rankine.serving.settings import Settings

BACKLOG = 2048  # connections that may wait to be taken
STOP_S = 10  # time that open requests get to end


def serve(
    pipeline: Pipeline,
    schema: Schema,
    visitors: pl.DataFrame,
    settings: Settings,
    name: str,
    announce: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve a run until interrupted; `announce` gets the address once the socket listens.

    Raises ConfigError for an address or a log that cannot be used.
    """
    listener = listen(settings)
    app = create_app(pipeline, schema, visitors, settings, name)
    host, port = listener.getsockname()[:2]
    announce(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=STOP_S
        )
    )
    server.run(sockets=[listener])


def listen(settings: Settings) -> socket.socket:
    """A socket at the host and port of the settings. Raises ConfigError where it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on `{settings.host}` port {settings.port}: {error.strerror or error}; "
            "choose another `host` or `port`"
        ) from None
