"""The rules of the house, read off the sources: who may import whom, who may name whom, and what nobody may do."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from rankine.models import MODELS
from rankine.models.base import SolvedModel

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src" / "rankine"
TESTS = ROOT / "tests"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "config", "random", "progress", "memory", "arrays"),
    ("data", "kernels"),
    ("nn",),
    ("features",),
    ("models",),
    ("training", "evaluation", "retrieval"),
    ("recommender",),
    ("pipeline",),
    ("runs",),
    ("serving",),
    ("cli",),
)
"""From the ground up. Imports go down only; names side by side do not import each other, but for the ground floor."""

HOMES: dict[str, set[str]] = {
    "torch": {"models", "training", "nn"},
    "numba": {"kernels.jit", "kernels.lanes", "kernels.sigmoid", "kernels.topk_tiles", "data.synthetic.walk"},
    "llvmlite": {"kernels.lanes", "kernels.sigmoid", "kernels.topk_tiles"},
    "fastapi": {"serving"},
    "starlette": {"serving"},
    "uvicorn": {"serving.server"},
    "prometheus_client": {"serving.metrics"},
    "jinja2": {"evaluation.report"},
    "safetensors": {"recommender", "data.synthetic.world"},
    "typer": {"cli"},
    "rich": {"cli", "progress"},
    "orjson": {"serving", "data.readers"},
    "optuna": {"runs.study"},
}
"""Where each library may be imported: a module, or a package and all that is in it."""

LOADS_BY_NAME = {"", "models"}  # they import what is asked for, when it is asked for
WORDS_OF_THE_FIELD = {
    "popularity",
    "Popularity",
    "bias",
    "Bias",
    "lr",
}  # metrics, reports, baselines and optimisers say them too
WHOLE_PACKAGES = {"evaluation/report/test_style.py", "serving/test_refusals.py"}  # tests of what all modules share


def name_of(path: Path) -> str:
    """`data.vocab` for src/rankine/data/vocab.py, `data` for its package, empty for the root."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(SRC.rglob("*.py"))}
every_file = pytest.mark.parametrize("name", [pytest.param(name, id=name or "rankine") for name in FILES])


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def imports(name: str) -> Iterator[str]:
    """Everything imported, in functions too: `rankine.x` for our own modules, the top name of others."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole.removeprefix("rankine.") in FILES else str(node.module)


def own_imports(name: str) -> set[str]:
    return {i.removeprefix("rankine").removeprefix(".") for i in imports(name) if i.split(".")[0] == "rankine"}


def foreign_imports(name: str) -> set[str]:
    return {i.split(".")[0] for i in imports(name)} - {"rankine"}


def wing(name: str) -> str:
    return name.split(".")[0]


def floor(name: str) -> int:
    return next(n for n, wings in enumerate(FLOORS) if wing(name) in wings)


def calls(name: str) -> Iterator[str]:
    """The last name of everything that is called."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Call):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def test_the_sources_are_found() -> None:
    assert len(FILES) > 60
    assert {"", "data.vocab", "models", "cli"} <= set(FILES)
    assert "data.dataset" in own_imports("features.encode")
    assert "rich" in foreign_imports("progress")  # imported within a function


@every_file
def test_imports_go_down_only(name: str) -> None:
    for other in own_imports(name) - {""}:
        assert wing(other) in {w for wings in FLOORS for w in wings}, f"`{other}` is on no floor"
        if not name:
            pytest.fail(f"the package itself imports `{other}`: it must cost nothing")
        if wing(name) != wing(other):
            ground = floor(name) == floor(other) == 0
            assert ground or floor(other) < floor(name), f"`{name}` must not import `{other}`"


@every_file
def test_families_of_models_do_not_import_each_other(name: str) -> None:
    parts = name.split(".")
    if parts[0] != "models" or len(parts) < 3:
        return
    for other in own_imports(name):
        family = other.split(".")
        assert family[0] != "models" or len(family) < 3 or family[1] == parts[1], f"`{name}` must not import `{other}`"


@every_file
def test_only_what_loads_by_name_imports_by_name(name: str) -> None:
    assert name in LOADS_BY_NAME or not {"import_module", "__import__"} & set(calls(name))


@every_file
def test_kernels_and_layers_never_see_a_dataset(name: str) -> None:
    if wing(name) in ("kernels", "nn"):
        names = {node.id for node in ast.walk(tree(name)) if isinstance(node, ast.Name)}
        assert not names & {"Dataset", "Schema", "Vocab", "pl"}
        assert "polars" not in foreign_imports(name)


@every_file
def test_each_library_is_imported_where_it_belongs(name: str) -> None:
    for library in foreign_imports(name) & HOMES.keys():
        allowed = HOMES[library]
        at_home = any(f"{name}.".startswith(f"{home}.") for home in allowed)
        assert at_home, f"`{name}` must not import {library}: {sorted(allowed)} may"


def test_the_table_of_libraries_names_nothing_that_is_gone() -> None:
    wings = {w for names in FLOORS for w in names}
    for library, homes in HOMES.items():
        for home in homes:
            assert home in FILES or home in wings, f"{library}: no module `{home}`"


def strings_and_names(name: str) -> Iterator[str]:
    """Every identifier and every string that is no docstring."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = list(ast.walk(tree(name)))
    docs = {ast.get_docstring(node, clean=False) for node in nodes if isinstance(node, documented)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docs:
            yield node.value
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            if isinstance(value := getattr(node, field, None), str):
                yield value


@every_file
def test_shared_code_mentions_no_model_by_name(name: str) -> None:
    if wing(name) in ("models", "kernels", "data", "nn", ""):
        return  # a kernel may carry the name of what it computes
    taken = {*MODELS, *(model.__name__ for model in MODELS.values())} - WORDS_OF_THE_FIELD
    for text in strings_and_names(name):
        found = taken & set(re.findall(r"\w+", text))
        assert not found, f"`{name}` names {sorted(found)} in {text!r}"


@every_file
def test_only_the_training_loop_steps_an_optimiser(name: str) -> None:
    assert name == "training.fit" or not {"step", "backward", "zero_grad"} & set(calls(name))


@every_file
def test_nothing_below_the_command_line_prints(name: str) -> None:
    if wing(name) != "cli":
        assert "print" not in set(calls(name))
        attributes = {node.attr for node in ast.walk(tree(name)) if isinstance(node, ast.Attribute)}
        assert "stdout" not in attributes


@every_file
def test_nothing_that_is_loaded_can_run_code(name: str) -> None:
    assert not foreign_imports(name) & {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    plain = {n.func.id for n in ast.walk(tree(name)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not plain & {"eval", "exec", "compile"}
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Call):
            assert "allow_pickle" not in {keyword.arg for keyword in node.keywords}
            where = node.func.value if isinstance(node.func, ast.Attribute) else None
            loads = isinstance(node.func, ast.Attribute) and node.func.attr in ("load", "save")
            assert not (loads and isinstance(where, ast.Name) and where.id in ("torch", "np", "numpy"))


@every_file
def test_everything_public_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(tree(name)), f"`{name}` has no docstring"
    for node in tree(name).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"`{node.name}` of `{name}` has no docstring"
    module = importlib.import_module(f"rankine.{name}".rstrip("."))
    for owner in (n for n in tree(name).body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")):
        methods = [n for n in owner.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
        for method in (m for m in methods if len(m.body) > 2):
            said = inspect.getdoc(getattr(getattr(module, owner.name), method.name))  # or a base class says it
            assert said, f"`{owner.name}.{method.name}` of `{name}` has no docstring"


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda p: p.relative_to(TESTS).as_posix())
def test_tests_mirror_the_sources(path: Path) -> None:
    place = path.relative_to(TESTS)
    if place.parts[0] in ("contract", "golden", "learns") or place.as_posix() in WHOLE_PACKAGES:
        return
    if place.as_posix() in ("test_architecture.py", "test_benchmarks.py", "test_docs.py"):
        return
    folder = SRC / place.parent
    assert folder.is_dir(), f"{place} tests a package that is not there"
    tested = place.stem.removeprefix("test_")
    names = {p.stem for p in folder.glob("*.py")} | {p.name for p in folder.iterdir() if p.is_dir()} | {folder.name}
    assert any(tested == n or tested.startswith(f"{n}_") for n in names), f"{place} tests a module that is not there"


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_has_a_golden_test_and_a_file_of_its_own(name: str) -> None:
    assert (TESTS / "golden" / f"test_{name}.py").is_file(), f"write tests/golden/test_{name}.py"
    model = MODELS[name]
    assert model.__module__.split(".")[-1] == name
    assert model.__module__.split(".")[:2] == ["rankine", "models"]
    public = [n for n, c in inspect.getmembers(importlib.import_module(model.__module__), inspect.isclass)
              if c.__module__ == model.__module__ and not n.startswith("_")]  # fmt: skip
    assert sorted(public) == sorted([model.__name__, model.Config.__name__])


SCRIPT = """
import sys, json
import rankine
assert not {"numpy", "polars", "torch", "numba"} & set(sys.modules), "import rankine loads too much"
import polars as pl
import rankine.cli, rankine.runs
from rankine import Dataset, Pipeline, Request, fit
rows = {"user_id": [1, 1, 2, 2], "session_id": [1, 1, 2, 2], "item_id": [*"abab"], "value": [1.0, 2.0, 3.0, 4.0]}
data = Dataset.from_frames(pl.DataFrame(rows))
items = pl.DataFrame({"item_id": ["a", "b"], "n_events": [2, 2]})
for name in json.loads(sys.argv[1]):
    Pipeline([fit(name, data)], items).answer(Request(history=["a"], k=1))
    assert "torch" not in sys.modules, name + " loads torch"
"""


def test_torch_is_loaded_only_by_models_that_need_it() -> None:
    counting = [name for name, model in MODELS.items() if issubclass(model, SolvedModel)]
    assert len(counting) > 4
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(counting)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_the_public_names_are_there_and_sorted() -> None:
    rankine = importlib.import_module("rankine")
    assert list(rankine.__all__) == sorted(rankine.__all__)
    assert all(getattr(rankine, name) is not None for name in rankine.__all__)
    assert set(rankine.__all__) <= set(dir(rankine))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rankine.nothing
