from __future__ import annotations

import itertools

import numpy as np

from rankine.random import seed_of, stream


def test_equal_arguments_give_equal_streams() -> None:
    assert np.array_equal(stream(1, "init").random(5), stream(1, "init").random(5))
    assert np.array_equal(stream(1, "split", "fold", 3).random(5), stream(1, "split", "fold", 3).random(5))


def test_every_seed_purpose_and_key_has_a_stream_of_its_own() -> None:
    arguments = [
        (1, "init"),
        (2, "init"),
        (1, "shuffle"),
        (1, "init", 0),
        (1, "init", 1),
        (1, "init", 0, 1),
        (12, "init"),
    ]
    draws = [tuple(stream(*a).random(3)) for a in arguments]  # type: ignore[arg-type]
    assert len(set(draws)) == len(draws)
    for a, b in itertools.combinations(arguments, 2):
        together = np.corrcoef(stream(*a).random(2000), stream(*b).random(2000))[0, 1]  # type: ignore[arg-type]
        assert abs(together) < 0.1


def test_one_stream_does_not_move_another() -> None:
    first = stream(5, "negatives")
    expected = first.random(4)
    again = stream(5, "negatives")
    stream(5, "shuffle").random(100)
    assert np.array_equal(again.random(4), expected)


def test_seeds_for_others_are_the_same_everywhere_and_fit_in_63_bits() -> None:
    assert seed_of(42, "init") == 3531299264858845618  # a change here changes every fitted model
    seeds = [seed_of(n, "init") for n in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= s < 2**63 for s in seeds)
    assert np.mean([s & 1 for s in seeds]) < 0.6
    assert max(seeds) > 2**62
