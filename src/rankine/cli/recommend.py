"""rankine recommend: one ranking from a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from rankine.cli.show import console, ranking
from rankine.errors import RequestError
from rankine.pipeline import Request
from rankine.runs import Run


def recommend_command(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    user: Annotated[str | None, typer.Option(help="A user id; an unknown one still gets an answer.")] = None,
    history: Annotated[
        str, typer.Option(help="Item ids of the present session, oldest first, with commas between.")
    ] = "",
    context: Annotated[list[str] | None, typer.Option(help="name=value; may be given several times.")] = None,
    k: Annotated[int, typer.Option(help="Length of the list.")] = 10,
    exclude_seen: Annotated[bool, typer.Option(help="Leave out what is in the history.")] = False,
) -> None:
    """Rank items for a user, a session or nobody in particular."""
    opened = Run.open(run)
    request = request_for(opened, user, history, context or [], k, exclude_seen)
    answer = opened.pipeline().answer(request)
    if answer.unknown_items:
        console.print(f"Not in the catalogue and left out: {', '.join(answer.unknown_items)}", style="dim")
    console.print(ranking(answer))


def request_for(run: Run, user: str | None, history: str, context: list[str], k: int, exclude_seen: bool) -> Request:
    """The request behind the options: what is stored of the user, then the given session."""
    session = [item for item in history.split(",") if item]
    stored = run.visitors().filter(pl.col("user_id") == user) if user is not None else None
    past, weights, hidden = (
        ([], [], [])
        if stored is None or not len(stored)
        else (stored[c][0].to_list() for c in ("items", "weights", "hidden"))
    )
    if user is not None and (stored is None or not len(stored)):
        console.print(f"User {user!r} is not known; the answer rests on the session and the context.", style="dim")
    return Request(
        user=user,
        history=[*past, *session],
        weights=[*weights, *(1.0 for _ in session)],
        session_len=len(session),
        context=dict(_pair(text) for text in context),
        timestamp=time.time(),
        k=k,
        exclude=hidden,
        exclude_history=exclude_seen,
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise RequestError(f"--context expects name=value; got {text!r}")
    return name, value
