PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TORCH  := torch==2.13.0

.PHONY: help setup demo test check lint types bench peers docs clean
help:  ## what each target does
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

setup: $(READY)  ## prepare .venv once; again only when the pins change

# torch first and pinned: otherwise another package pulls a build with gigabytes of CUDA.
# A torch that the chosen Python already brings (a GPU build, say) is used as it is: VENV_ARGS=--system-site-packages.
$(READY): pyproject.toml constraints.txt tools/install-torch.sh
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV_ARGS) $(VENV)
	sh tools/install-torch.sh $(BIN)/python $(TORCH)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -c 'import torch, numba, polars, rankine'
	@touch $@

demo: setup  ## generate a shop, train and compare models, rank for three visitors
	$(BIN)/rankine demo

test: setup  ## the default tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

check: lint types test  ## style, types and tests

bench: setup  ## every speed claim, peers beside us; writes benchmarks/results
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

peers: setup  ## install the systems that benchmarks measure beside us, each in .peers/NAME
	$(BIN)/python benchmarks/systems/install.py

docs: setup  ## write the generated pages again
	$(BIN)/python -m tools.docs

clean:  ## remove what make and runs have written
	rm -rf $(VENV) build runs .mypy_cache .pytest_cache .ruff_cache
