import numpy as np
import pytest

from rankine.kernels.decay import by_distance, by_position


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ("same", [1, 1, 1]),
        ("div", [1, 1 / 4, 1 / 12]),
        ("linear", [0.9, 0.6, 0]),
        ("quadratic", [1, 1 / 16, 1 / 144]),
        ("log", [1 / np.log10(2.7), 1 / np.log10(5.7), 1 / np.log10(13.7)]),
    ],
)
def test_weight_at_distances_one_four_and_twelve(decay: str, expected: list[float]) -> None:
    np.testing.assert_allclose(by_distance(decay, np.array([1, 4, 12])), expected)


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ("same", [1, 1, 1]),
        ("div", [1, 17 / 20, 8 / 20]),
        ("linear", [1, 0.7, 0]),
        ("quadratic", [1, (17 / 20) ** 2, (8 / 20) ** 2]),
        ("log", [1 / np.log10(1.7), 1 / np.log10(4.7), 1 / np.log10(13.7)]),
    ],
)
def test_weight_of_the_last_the_fourth_and_the_thirteenth_from_the_end_of_twenty(decay: str, expected: list) -> None:
    np.testing.assert_allclose(by_position(decay, np.array([0, 3, 12]), np.array([20, 20, 20])), expected)


def test_an_unknown_decay_is_an_error() -> None:
    with pytest.raises(ValueError, match="got 'cubic'"):
        by_distance("cubic", np.array([1]))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got 'cubic'"):
        by_position("cubic", np.array([1]), np.array([1]))  # type: ignore[arg-type]
