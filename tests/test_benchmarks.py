"""Every work of benchmarks/factorization.py and benchmarks/ctr.py in its smallest form, without the peers."""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
MODULES = (
    "bench",
    "factorization",
    "ctr",
    "parts",
    "systems",
    "run_rankine",
    "run_rankine_clicks",
    "exchange",
    "worker",
)
WORKS = (
    "machine", "import", "memory", "als", "als-ncf", "als-256", "als-threads", "als-gowalla", "bpr", "item-to-item", "ratings",
    "top-100", "one-user", "fold-in", "als-10m", "bpr-10m", "top-100-50k", "one-user-50k", "fold-in-50k",
)  # fmt: skip
CLICK_WORKS = (
    "machine", "deepfm", "wide-deep", "ipnn", "fm", "deepfm-10k-ids", "deepfm-1m-ids", "deepfm-10m-ids", "score", "one-row",
    "200-candidates", "encode",
)  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The modules of the benchmark on small drawn data, its systems in this process, and an empty folder of peers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS / "systems"))
        patch.syspath_prepend(str(BENCHMARKS))
        patch.setenv("NUMBA_NUM_THREADS", "2")
        patch.setenv(
            "OMP_NUM_THREADS", str(torch.get_num_threads())
        )  # systems set it for their process, which is this one
        patch.setenv("RANKINE_PEERS", str(tmp_path_factory.mktemp("peers")))
        names = (
            "bench",
            "factorization",
            "ctr",
            "worker",
            "parts.sets",
            "parts.click_sets",
            "parts.clicking",
            "parts.rates",
            "parts.contest",
            "parts.quality",
            "parts.starting",
        )
        found = SimpleNamespace(**{name.split(".")[-1]: importlib.import_module(name) for name in names})
        patch.setattr(found.rates, "_measured", constant_rates)
        patch.setattr(found.starting, "_alone", lambda python, code: [0.1, 0.2, 50.0, 0])
        found.own_process = found.contest.System
        patch.setattr(found.contest, "System", lambda *given: InProcess(found, *given))
        for name in list(found.sets.SETS):
            patch.setitem(found.sets.SETS, name, lambda _: drawn(found.sets))
        for name in list(found.click_sets.LOGS):
            patch.setitem(
                found.click_sets.LOGS, name, partial(drawn_clicks, found.click_sets, numbers=name != "frappe")
            )
        patch.setattr(found.clicking, "HIDDEN", [4, 4])
        patch.setattr(found.clicking, "REQUESTS", 20)
        patch.setitem(found.clicking.LEARNED, "hidden", [4, 4])
        found.folder = tmp_path_factory.mktemp("run")
        yield found
    for name in [name for name in sys.modules if name.split(".")[0] in MODULES]:
        del sys.modules[name]


class InProcess:
    """`contest.System` without a process."""

    start_s = 0.5

    def __init__(self, house: SimpleNamespace, python: Path, name: str, place: Path, threads: int) -> None:
        self.house, self.system = house, importlib.import_module(f"run_{name}").System(place)

    def __call__(self, do: str, **settings: Any) -> Any:
        return self.house.contest.Answer(**self.house.worker.answer(self.system, {"do": do, **settings}))

    def close(self) -> None:
        pass


def constant_rates() -> dict[str, Any]:
    return {
        "gflops": 100.0, "bf16_gflops": 300.0, "stream_gbs": 10.0, "read_rows": {1: 90.0, 100: 9.0},
        "changed_rows": {1: 50.0, 100: 5.0}, "words": 20.0,
    }  # fmt: skip


def drawn(sets: Any) -> Any:
    """80 users with ten of 60 items each; two of the ten are held out."""
    rng = np.random.default_rng(3)
    item = np.sort(np.stack([rng.permutation(60)[:10] for _ in range(80)]), axis=1).reshape(-1)
    value = rng.integers(1, 6, 800).astype(np.float32)
    return sets.Pairs("drawn", np.repeat(np.arange(80), 10), item, np.arange(800) % 5 == 0, value)


def drawn_clicks(sets: Any, numbers: bool) -> Any:
    """400 rows, of which 300 for training, of an item, two other categories and, if wanted, two numbers."""
    rng, sizes = np.random.default_rng(4), [30, 9, 4]
    ids = np.stack([rng.integers(0, size, 400) for size in sizes], 1)
    names = ("item_id", "c1", "c2") if numbers else ("item_id", "user_id", "country")
    label = (rng.random(400) < 0.2 + 0.6 * (ids[:, 2] % 2)).astype(np.float32)
    return sets.Log("drawn", names, sizes, ids, label, 300, rng.random((400, 2 if numbers else 0), np.float32))


@pytest.mark.parametrize(
    ("script", "work"), [*(("factorization", w) for w in WORKS), *(("ctr", w) for w in CLICK_WORKS)]
)
def test_a_work_gives_rows_with_what_it_took_and_how_far_from_the_floor(
    script: str, work: str, house: SimpleNamespace
) -> None:
    rows = list(getattr(house, script).WORKS[work](house.folder))
    ours = [row for row in rows if row.system.startswith("rankine") and not row.system.endswith("first call")]
    assert ours or work == "machine"
    for row in rows:
        assert row.work == work and row.unit and row.value > 0 and math.isfinite(row.value)
        assert json.loads(json.dumps(asdict(row)))["ratio_to_best_peer"] is None  # no peer is installed
    for row in ours if work != "memory" else ():
        assert "times" in row.unit or (row.ratio_to_floor > 0 and row.floor and row.quality)


def test_the_works_tested_are_all_there_are(house: SimpleNamespace) -> None:
    assert tuple(house.factorization.WORKS) == WORKS
    assert tuple(house.ctr.WORKS) == CLICK_WORKS


def test_auc_counts_ties_half_and_log_loss_is_held_within_bounds(house: SimpleNamespace, tmp_path: Path) -> None:
    np.save(tmp_path / "test_label.npy", np.array([1, 0, 1, 0], np.float32))
    np.save(tmp_path / "probability.npy", np.array([0.9, 0.5, 0.5, 0.0]))
    loss = -(np.log(0.9) + 2 * np.log(0.5) + np.log(1 - 1e-7)) / 4
    assert house.quality.clicks(tmp_path, tmp_path) == f"auc 0.8750, logloss {loss:.4f}"


def test_a_drawn_log_has_the_shape_of_the_one_it_stands_for(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RANKINE_DATA", str(tmp_path))
    log = house.click_sets.frappe()
    assert log.ids.shape == (230_887, 10) and log.n_train == 202_027 and (log.ids < log.sizes).all()
    assert 0.2 < log.label.mean() < 0.4


def test_a_generated_log_keeps_as_many_fields_as_asked(house: SimpleNamespace) -> None:
    log = house.click_sets.generated(2000, 80, 20, (13, 7))
    assert log.ids.shape == (100, 13) and log.numbers.shape == (100, 7) and "item_id" in log.names
    assert np.isfinite(log.numbers).all() and (log.ids < log.sizes).all()


def test_a_peer_that_is_not_installed_is_named(house: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    list(house.factorization.WORKS["ratings"](house.folder))
    assert "left out: cornac: cornac is not installed: make peers" in capsys.readouterr().err


def test_a_peer_that_fails_on_the_way_is_named_and_left_out(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing(InProcess):
        """Ours under another name, which bears one call."""

        def __init__(self, _: SimpleNamespace, python: Path, name: str, *given: Any) -> None:
            super().__init__(house, python, "rankine", *given)
            self.left = 1 if name == "peer" else 9

        def __call__(self, do: str, **settings: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise house.contest.SystemFailedError("out of memory")
            return super().__call__(do, **settings)

    monkeypatch.setattr(house.contest, "python_of", lambda _: Path(sys.executable))
    monkeypatch.setattr(house.contest, "System", lambda *given: Failing(house, *given))
    entrants = [house.contest.Entrant(name, name, "item_to_item", {}, {}) for name in ("rankine", "peer")]
    floor = house.rates.Floor(1.0, "none")
    rows_of = house.contest.duration("x", "s", floor, lambda _: "")
    rows = list(house.contest.race("x", house.sets.prepared("movielens", house.folder), entrants, rows_of))
    assert [row.system for row in rows] == ["rankine, first call", "peer, first call", "rankine"]
    assert capsys.readouterr().err == "left out: peer: out of memory\n"


def test_the_best_peer_is_the_fastest_that_did_the_same_in_the_same_unit(house: SimpleNamespace) -> None:
    row = house.bench.Row
    rows = [
        row(work="a", unit="rows/s", value=30), row(work="a", unit="rows/s", value=10, system="one"),
        row(work="a", unit="rows/s", value=20, system="two"), row(work="a", unit="rows/s", value=99, system="two, first call"),
        row(work="b", unit="rows/s", value=90, system="one"), row(work="a", unit="ms, p50", value=2),
        row(work="a", unit="ms, p50", value=8, system="one"), row(work="a", unit="ms, p50", value=4, system="two"),
    ]  # fmt: skip
    ratios = [one.ratio_to_best_peer for one in house.bench.beside_peers(rows)]
    assert ratios == [1.5, None, None, None, None, 2.0, None, None]


def test_quality_is_that_of_the_ideal_list_or_of_the_worst(house: SimpleNamespace, tmp_path: Path) -> None:
    place = house.sets.prepared("movielens", house.folder)
    matrix = house.quality.Matrix(place, "test")
    ideal = np.zeros((80, 60), np.float32)
    ideal[matrix.users, matrix.indices] = 1
    for user, expected in ((ideal, "ndcg@10 1.0000"), (-ideal, "ndcg@10 0.0000")):
        np.save(tmp_path / "user.npy", user)
        np.save(tmp_path / "item.npy", np.eye(60, dtype=np.float32))
        assert house.quality.ranking(place, tmp_path) == expected


def test_lists_that_miss_a_better_item_are_not_exact(house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    place = house.sets.prepared("movielens", house.folder)
    train, users = house.quality.Matrix(place), np.arange(80)
    factors = {"user": np.ones((80, 1), np.float32), "item": np.arange(60, dtype=np.float32)[:, None]}
    monkeypatch.setattr(house.quality, "load", lambda _: factors)
    best = np.stack([[i for i in range(59, -1, -1) if i not in train.row(user)][:3] for user in users])
    worse = best.copy()
    worse[:40, 2] = [next(i for i in range(60) if i not in train.row(user)) for user in range(40)]
    assert house.quality.exactness(place, Path(), best, users) == "100.00% of lists exact"
    assert house.quality.exactness(place, Path(), worse, users) == "50.00% of lists exact"


def test_rows_are_on_disk_as_they_come_and_replace_those_of_their_work(house: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "results" / "x.json"
    for value in (1, 2):
        kept = house.bench._Kept(file, ["a", "b"])
        for work in ("b", "a") if value == 1 else ("b",):
            kept.start(work)
            kept.add(work, {"work": work, "value": value})
    assert [(row["work"], row["value"]) for row in json.loads(file.read_text())["rows"]] == [("a", 1), ("b", 2)]


def test_a_system_in_its_own_process_answers_tells_of_its_errors_and_of_its_end(house: SimpleNamespace) -> None:
    place = house.sets.prepared("movielens", house.folder)
    system = house.own_process(Path(sys.executable), "rankine", place, threads=2)
    assert system("item_to_item", neighbours=5).found == 1
    with pytest.raises(house.contest.SystemFailedError, match=r"rankine: .*unknown setting `neighbors`"):
        system("item_to_item", neighbors=5)
    system._process.kill()
    with pytest.raises(house.contest.SystemFailedError, match="rankine: it ended with exit status -9"):
        system("item_to_item", neighbours=5)
    system.close()
