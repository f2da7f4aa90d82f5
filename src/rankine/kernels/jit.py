"""How kernels are compiled, and how their rows are shared between threads.

Kernels release the GIL, so a plain thread pool runs them: requests may call them at the same time, processes may fork.
Compiled code is cached beside the source. The cache of a file does not notice a change in a helper of another file:
after editing `selection.py` remove the folder `__pycache__` of this package.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import config

from rankine.arrays import Array, Int, Offsets, Ragged

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
CHUNKS_PER_THREAD = 8  # uneven rows even out; each chunk allocates its own scratch, so not many more
REORDERED = {"reassoc", "contract", "nsz"}  # sums in any order; NaN and infinity stay what they are


def kernel(function: F) -> F:
    """The function compiled; it keeps the order of its sums."""
    return _compiled(function)


def summing_kernel(function: F) -> F:
    """The function compiled; its sums may be reordered, so that dot products use vector registers."""
    return _compiled(function, fastmath=REORDERED)


def inlined_kernel(function: F) -> F:
    """The function compiled into each of its callers: for what runs once per draw, where counting array references would show."""
    return cast(F, numba.njit(inline="always")(function))


def inlined_summing_kernel(function: F) -> F:
    """The same as `summing_kernel`, its code put into its callers: handing over many arrays costs as much as a short row."""
    return _compiled(function, fastmath=REORDERED, forceinline=True)


def _compiled(function: F, **options: Any) -> F:
    try:
        return cast(F, numba.njit(cache=True, nogil=True, **options)(function))
    except RuntimeError:  # nowhere to keep compiled code, as in a container that may not be written to
        return cast(F, numba.njit(nogil=True, **options)(function))


def n_threads() -> int:
    """How many threads kernels run on."""
    return int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


def over_rows(run: Callable[..., Any], n_rows: int, *arguments: Any, work: Offsets | None = None) -> list[Any]:
    """What `run(start, stop, *arguments)` returns for chunks that cover 0 .. n_rows, in order of the rows.

    `work` int64 [n_rows + 1] is the cumulative cost of the rows; without it all rows cost the same.
    """
    threads = n_threads()
    chunks = _chunks(n_rows, threads * CHUNKS_PER_THREAD, work)
    if threads == 1 or len(chunks) <= 1:
        return [run(start, stop, *arguments) for start, stop in chunks]
    return _shared(lambda chunk: run(*chunk, *arguments), chunks, threads)


def _shared(work: Callable[[T], Any], tasks: list[T], n_threads: int) -> list[Any]:
    """`work(task)` of each task, in order. This thread takes part: a pool of threads costs more than some kernels run."""
    results: list[Any] = [None] * len(tasks)
    errors: list[BaseException] = []
    waiting = iter(enumerate(tasks))  # taking the next one is a single step, so threads may share it

    def take() -> None:
        try:
            for place, task in waiting:
                if errors:
                    return
                results[place] = work(task)
        except BaseException as error:
            errors.append(error)

    helpers = [Thread(target=take) for _ in range(n_threads - 1)]
    for helper in helpers:
        helper.start()
    take()
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]
    return results


def _chunks(n_rows: int, n_chunks: int, work: Offsets | None) -> list[tuple[int, int]]:
    if n_rows <= 1:
        return [(0, n_rows)] * n_rows
    if work is None or work[-1] == work[0]:
        borders = np.linspace(0, n_rows, n_chunks + 1).astype(np.int64)
    else:
        borders = np.searchsorted(work, np.linspace(work[0], work[-1], n_chunks + 1))
        borders[0], borders[-1] = 0, n_rows
    return list(itertools.pairwise(np.unique(borders).tolist()))


def flat(rows: Ragged) -> tuple[Int, Offsets]:
    """Values int32 and offsets int64 of `rows`, without what lies before the first row or after the last."""
    first, last = int(rows.offsets[0]), int(rows.offsets[-1])
    offsets = rows.offsets - first if first else rows.offsets  # an index is flat already: no copy per request
    return np.ascontiguousarray(rows.values[first:last], np.int32), np.asarray(offsets, np.int64)


def check_indices(name: str, values: Array, n: int) -> None:
    """Raise ValueError unless all values lie in 0 .. n - 1: kernels do not check their bounds."""
    if len(values) and (int(values.min()) < 0 or int(values.max()) >= n):
        raise ValueError(f"`{name}` must lie in 0 .. {n - 1}; got {int(values.min())} .. {int(values.max())}")
