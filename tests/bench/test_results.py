"""Figures and aims of the benches: what is written, what is judged, what is said where nothing could be measured."""

from __future__ import annotations

import pytest

from bench.__main__ import BENCHES
from bench.memory import at_1gb
from bench.results import absent, figure, goals


def test_every_aim_belongs_to_a_bench_and_has_a_sentence():
    assert {name.split(".")[0] for name in goals()} <= set(BENCHES)
    assert all(goal.at in {"least", "most"} and goal.says.endswith(".") for goal in goals().values())


def test_a_figure_is_judged_by_its_aim():
    assert figure("gateway.p50", 15, "ms") == {"name": "gateway.p50", "value": 15, "unit": "ms", "goal": 15, "ok": True}
    assert not figure("gateway.p50", 15.1, "ms")["ok"]
    assert figure("aggregator.merge_vs_raw", 0.5, "ratio")["ok"]
    assert not figure("aggregator.merge_vs_raw", 0.499, "ratio")["ok"]


def test_a_figure_without_aim_is_only_told():
    assert figure("gateway.answers", 3, "answers/s") == {
        "name": "gateway.answers", "value": 3, "unit": "answers/s", "goal": None, "ok": True,
    }  # fmt: skip


def test_a_figure_in_another_unit_than_its_aim_is_no_figure():
    with pytest.raises(ValueError, match="aimed at in ms"):
        figure("gateway.p50", 0.015, "s")


def test_what_could_not_be_measured_keeps_its_aim_and_says_why():
    assert absent("aggregator.merge_vs_streams", "no JDK") == {
        "name": "aggregator.merge_vs_streams", "value": None, "unit": "not run: no JDK", "goal": 2.0, "ok": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("peaks", "expected"),
    [([40, 40, 40, 40], 40), ([30, 40, 40, 40, 40], 40), ([20, 30, 40, 50], 230), ([40], 40)],
)
def test_memory_goes_on_as_over_the_second_half(peaks: list[float], expected: float):
    """100 MB were read: 900 are left, eighteen times the second half."""
    assert at_1gb(peaks, 100) == expected
