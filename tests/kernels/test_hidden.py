from __future__ import annotations

import numpy as np
import pytest

from rankine.kernels import hidden

RNG = np.random.default_rng(4)
SIZES = [(1, 1), (3, 7), (65, 130), (2100, 512)]  # the last is shared between threads where there are some


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_activation_is_scale_shift_rectify_and_drop(shape: tuple[int, int], rate: float) -> None:
    z, slope, shift = numbers(*shape), numbers(shape[1]), numbers(shape[1])
    kept = hidden.kept(*shape, 11, rate)
    expected = np.maximum(slope.astype(float) * z + shift, 0) * kept / (1 - rate)
    np.testing.assert_allclose(hidden.activate(z, slope, shift, 11, rate), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shape", SIZES)
def test_gradient_passes_where_the_result_is_above_zero(shape: tuple[int, int]) -> None:
    grad, h, z, mean = numbers(*shape), np.maximum(numbers(*shape), 0), numbers(*shape), numbers(shape[1])
    expected = grad.astype(float) * (h > 0) / 0.75
    out, total = hidden.gate(grad, h, 0.25)
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    np.testing.assert_allclose(total, expected.sum(0), atol=1e-3)
    normed, total, product = hidden.gate_normed(grad, h, 0.25, z, mean)
    np.testing.assert_array_equal(normed, out)
    np.testing.assert_allclose(total, expected.sum(0), atol=1e-3)
    np.testing.assert_allclose(product, (expected * (z.astype(float) - mean)).sum(0), atol=2e-3)


@pytest.mark.parametrize("shape", SIZES)
def test_moments_survive_a_large_mean(shape: tuple[int, int]) -> None:
    z = numbers(*shape) + np.float32(1000)
    mean, variance = hidden.moments(z)
    np.testing.assert_allclose(mean, z.astype(float).mean(0), rtol=1e-6)
    np.testing.assert_allclose(variance, z.astype(float).var(0), rtol=2e-3, atol=1e-5)


def test_moments_of_equal_rows_are_their_value_and_zero() -> None:
    mean, variance = hidden.moments(np.full((5, 2), 3.7, np.float32))
    assert mean.tolist() == [np.float32(3.7)] * 2
    assert variance.tolist() == [0, 0]


def test_combination_is_made_in_place() -> None:
    g, z, (a, b, c) = numbers(40, 9), numbers(40, 9), numbers(3, 9)
    expected = a.astype(float) * g + b * z + c
    hidden.combine(g, z, a, b, c)
    np.testing.assert_allclose(g, expected, atol=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_units_are_kept_at_the_rate_asked_and_independently(rate: float) -> None:
    one, other = (hidden.kept(600, 400, hidden.key_of(7, step), rate) for step in (0, 1))
    sd = np.sqrt(rate * (1 - rate))
    assert abs(one.mean() - (1 - rate)) < 4 * sd / np.sqrt(one.size)
    assert one.mean(0).std() == pytest.approx(sd / np.sqrt(600), rel=0.15)
    assert one.mean(1).std() == pytest.approx(sd / np.sqrt(400), rel=0.15)
    for a, b in ((one, other), (one[1:], one[:-1]), (one[:, 1:], one[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)


def test_equal_keys_drop_equal_units_and_every_step_has_its_own() -> None:
    keys = {hidden.key_of(seed, step) for seed in range(3) for step in range(100)}
    assert len(keys) == 300
    np.testing.assert_array_equal(hidden.kept(9, 9, 5, 0.5), hidden.kept(9, 9, 5, 0.5))
    assert not np.array_equal(hidden.kept(9, 9, 5, 0.5), hidden.kept(9, 9, 6, 0.5))


def test_what_is_not_a_number_stays_so() -> None:
    z, one, zero = numbers(4, 40), np.ones(40, np.float32), np.zeros(40, np.float32)
    z[2, 5] = z[3, 39] = np.nan
    h = hidden.activate(z, one, zero, 0, 0.0)
    assert np.isnan(h[[2, 3], [5, 39]]).all()
    assert np.isnan(h).sum() == 2
    assert np.isnan(hidden.moments(z)[1]).sum() == 2


def test_no_rows_and_one_row() -> None:
    none, column = np.empty((0, 4), np.float32), np.ones(4, np.float32)
    assert hidden.activate(none, column, column, 1, 0.5).shape == (0, 4)
    assert hidden.gate(none, none, 0.5)[1].tolist() == [0] * 4
    assert hidden.moments(column[None])[1].tolist() == [0] * 4
