"""Works of ctr.py: training click models on labelled rows, scoring with them, and making rows of events and requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import Row, Work
from parts import quality
from parts.click_sets import prepared_log
from parts.contest import OURS, Entrant, System, epochs, latencies, race, throughput
from parts.rates import Floor, Rates, longest, rates
from parts.sets import title
from systems.exchange import Clicks

DIM, HIDDEN = 16, [400, 400, 400]
DRIVER = "rankine_clicks"
TIMES = 10  # that the test rows are scored in one run
REQUESTS = 500
LEARNED: dict[str, Any] = {"do": "train", "model": "deepfm", "epochs": 1, "dim": DIM, "hidden": HIDDEN, "batch": 1024}


def training(
    work: str, log: str, model: str, peers: tuple[str, ...], *, batch: int = 1024, n_epochs: int = 3, turns: int = 2, bf16: bool = False
) -> Work:  # fmt: skip
    """Epochs of one model: rows per second, and AUC and log loss on the test after the last; no system has any regularisation."""

    def rows(folder: Path) -> Iterator[Row]:
        place = prepared_log(log, folder)
        shape = {"model": model, "dim": DIM, "hidden": HIDDEN, "batch": batch, "epochs": n_epochs}
        entrants = [Entrant("rankine", OURS, "train", shape, driver=DRIVER)]
        if bf16:
            entrants.append(Entrant("rankine, bf16", OURS, "train", {**shape, "precision": "bf16"}, driver=DRIVER))
        entrants += [PEERS[name](shape) for name in peers]
        rate = {bf16: epochs(work, len(Clicks(place)), training_floor(rates(folder), place, model, bf16=bf16), judged(place, folder))
                for bf16 in (False, True)}  # fmt: skip
        yield from race(work, place, entrants, lambda one: rate["precision" in one.entrant.settings](one), turns=turns)

    return rows


PEERS: dict[str, Callable[[dict[str, Any]], Entrant]] = {
    "deepctr": lambda shape: Entrant("DeepCTR-Torch", "deepctr", "train", shape),
    "recbole": lambda shape: Entrant("RecBole", "recbole", "train", shape, driver="recbole_clicks"),
    "fuxictr": lambda shape: Entrant("FuxiCTR", "fuxictr", "train", shape, at_most=1),
}


def judged(place: Path, folder: Path) -> Callable[[System], str]:
    """AUC and log loss of the probabilities that a system exports."""

    def judge(system: System) -> str:
        system("export", folder=str(folder / "exported"))
        return f"{quality.clicks(place, folder / 'exported')} on {title(place)}"

    return judge


def products_of(place: Path, model: str) -> float:
    """Multiplications and additions of a row in the matrices of a model, forwards."""
    rows = Clicks(place)
    n_fields = len(rows.columns())
    n_inputs = n_fields * DIM + (n_fields * (n_fields - 1) // 2 if model == "pnn" else 0)
    return 2.0 * sum(a * b for a, b in pairwise([n_inputs, *HIDDEN, 1])) if model != "fm" else 0.0


def training_floor(found: Rates, place: Path, model: str, *, bf16: bool) -> Floor:
    """One epoch: the matrix products forwards, and twice as many backwards; or to change the row of every slot once."""
    rows = Clicks(place)
    product = found.product(3 * products_of(place, model) * len(rows), bf16)
    return longest(product, found.changes(rows.ids.size, DIM + 1, sum(rows.sizes)))


def scoring(folder: Path) -> Iterator[Row]:
    """The probability of many rows at once."""
    place = prepared_log("frappe", folder)
    n = len(Clicks(place, "test"))
    asked, first = {"times": TIMES}, {"times": 1}
    entrants = [
        Entrant("rankine", OURS, "score", asked, first, driver=DRIVER),
        Entrant("DeepCTR-Torch", "deepctr", "score", {"times": 2}, first),
    ]
    floor = rates(folder).product(products_of(place, "deepfm") * n)
    rate = throughput("score", "rows/s", n, floor, judged(place, folder))
    yield from race("score", place, entrants, rate, before=LEARNED)


def request(work: str, candidates: int) -> Work:
    """One request at a time, for so many items: what the model takes, and with the request still to be encoded.

    The floor is to read the matrices once, and the products.
    """

    def rows(folder: Path) -> Iterator[Row]:
        place = prepared_log("frappe", folder)
        asked, first = {"requests": REQUESTS, "candidates": candidates}, {"requests": 20}
        entrants = [
            Entrant("rankine", OURS, "ask", asked, first, driver=DRIVER),
            Entrant("DeepCTR-Torch", "deepctr", "ask", asked, first),
            Entrant("rankine, ids and words in", OURS, "ask_by_id", asked, first, driver=DRIVER),
        ]
        found, flops = rates(folder), products_of(place, "deepfm")
        floor = longest(found.product(flops * candidates), found.stream(flops / 2 * 4))
        yield from race(work, place, entrants, latencies(work, floor, judged(place, folder)), before=LEARNED)

    return rows


def encoding(folder: Path) -> Iterator[Row]:
    """A million impressions of twenty fields: the fields fitted, the rows made, and the row of one request.

    The floor is to read every text once and to write its row; of one request, to look up its words.
    """
    place = prepared_log("clicks-20-fields", folder)
    rows = Clicks(place)
    n = len(rows)
    size = n * 28.0 * len(rows.columns())  # 16 bytes of text, 8 of a number behind it, 4 of a row of the table
    floor, few = rates(folder).stream(size / n), {"rows": min(n, 10_000)}

    def entrant(name: str, do: str, **asked: int) -> Entrant:
        return Entrant(name, OURS, do, asked, few if "rows" in asked else {"requests": 20}, driver=DRIVER)

    def judge(system: System) -> str:
        return f"{len(rows.columns())} fields, {title(place)}"

    rate = throughput("encode", "rows/s", 1, floor, judge)
    one = latencies("encode", rates(folder).lookups(len(rows.columns())), judge)
    before = {"do": "fit_encoder", **few}
    yield from race("encode", place, [entrant("rankine, fit", "fit_encoder", rows=n)], rate, before=before)
    yield from race(
        "encode", place, [entrant("rankine", "encode", rows=n)], rate, before={"do": "fit_encoder", "rows": n}
    )
    yield from race(
        "encode", place, [entrant("rankine, one request", "encode_one", requests=REQUESTS)], one, before=before
    )
