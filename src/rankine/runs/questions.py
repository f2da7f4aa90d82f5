"""The questions of a recipe's protocol: what is asked about the test events, or about the validation events."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from rankine.data.dataset import Dataset
from rankine.data.split import ROW, Fold
from rankine.errors import ConfigError, closest
from rankine.evaluation import cases as build
from rankine.evaluation.cases import Cases
from rankine.evaluation.event_items import event_items
from rankine.evaluation.impressions import impressions, logged
from rankine.features.encode import Encoder
from rankine.random import stream
from rankine.runs.recipe import CandidatesConfig, Recipe
from rankine.runs.source import Source


def known_events(before: Dataset, fold: Fold) -> pl.DataFrame:
    """What a service would know when it is asked: the events fitted to, and the given part of held-out users."""
    if fold.fold_in is None:
        return before.events
    return pl.concat([before.events, fold.fold_in.join(before.events, on=ROW, how="anti")], how="diagonal").sort(ROW)


def make_cases(
    recipe: Recipe,
    encoder: Encoder,
    before: pl.DataFrame,
    test: pl.DataFrame,
    source: Source,
    *,
    rank_lists: bool = True,
) -> Cases:
    """The questions of the recipe's protocol about the events `test`; without `rank_lists` over all items always."""
    settings = recipe.evaluate
    drop = settings.unknown_targets == "drop"
    if settings.protocol == "next_item":
        cases = build.next_item(encoder, before, test, drop_unknown=drop, first=settings.first)
    elif settings.protocol == "ratings":
        cases = build.ratings(encoder, test)
    elif settings.protocol == "event_items":
        cases = event_items(encoder, before, test, drop_unknown=drop, exclude_seen=settings.exclude_seen)
    elif settings.protocol == "impressions":
        cases = impressions(encoder, before, test)
    elif settings.protocol == "logged":
        cases = logged(encoder, before, test, propensity=settings.propensity)
    else:
        given = settings.candidates is not None and rank_lists
        exclude_seen = settings.exclude_seen and not given  # a given list is ranked as it is
        cases = build.user_items(encoder, before, test, drop_unknown=drop, exclude_seen=exclude_seen)
    if settings.candidates is not None and rank_lists:
        cases = build.candidates(cases, encoder, read_candidates(settings.candidates, source))
    return draw(cases, settings.max_cases, recipe.seed, "cases")


def draw(cases: Cases, most: int | None, seed: int, what: str) -> Cases:
    """At most so many of the cases, drawn at random, in their order."""
    if most is None or len(cases) <= most:
        return cases
    kept = cases.take(np.sort(stream(seed, "split", what).choice(len(cases), most, replace=False)))
    unknown = int((kept.targets.values == kept.queries.n_items).sum())
    return dataclasses.replace(kept, counts={**kept.counts, "unknown_targets": unknown})


def read_candidates(settings: CandidatesConfig, source: Source) -> pl.DataFrame:
    """The candidate lists of [evaluate.candidates]: user_id and negatives. Raises ConfigError."""
    if source.folder is None:
        raise ConfigError("candidate lists are read from the data folder: [data] needs a `path`")
    path = source.folder / settings.file
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError):
        raise ConfigError(f"`{path}` is no Parquet file that can be read: [evaluate.candidates] needs one") from None
    for column in (settings.user, settings.negatives):
        if column not in frame.columns:
            raise ConfigError(f"`{path.name}` has no column `{column}`{closest(column, frame.columns)}")
    return frame.select(
        pl.col(settings.user).cast(pl.String).alias("user_id"),
        pl.col(settings.negatives).cast(pl.List(pl.String)).alias("negatives"),
    )
