from __future__ import annotations

from rankine.training.schedule import Schedule


def followed(schedule: Schedule, figures: list[float | None]) -> list[bool]:
    return [schedule.after(epoch, figure) for epoch, figure in enumerate(figures, 1)]


def test_every_epoch_without_gain_drops_the_rate() -> None:
    schedule = Schedule(patience=3)
    assert followed(schedule, [0.1, 0.3, 0.2, 0.3, 0.4, 0.4]) == [False, False, True, True, False, True]
    assert (schedule.best, schedule.best_epoch, schedule.drops) == (0.4, 5, [3, 4, 6])


def test_only_strikes_in_a_row_end_training() -> None:
    schedule = Schedule(patience=2)
    followed(schedule, [0.1, 0.1, 0.2, 0.2])
    assert not schedule.exhausted
    followed(schedule, [0.2])
    assert schedule.exhausted


def test_without_figures_the_rate_drops_where_told_and_nothing_ends() -> None:
    schedule = Schedule(drop_epochs=(2, 4))
    assert followed(schedule, [None] * 5) == [False, True, False, True, False]
    assert not schedule.exhausted
    assert schedule.drops == [2, 4]


def test_a_first_figure_below_zero_is_a_gain() -> None:
    assert not Schedule().after(1, -3.0)
