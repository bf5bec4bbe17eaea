"""The one door between what is stored and what is shown: release, then rights; then rates and totals of what came through. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.aggregator.query.columns import ReadyColumn
from services.aggregator.query.matrix import Counts
from services.aggregator.query.readings import Readings
from services.aggregator.query.release import SOCIAL, release
from services.aggregator.query.rights import judge
from services.aggregator.query.states import (
    ESTIMATED,
    LEFT_OUT,
    NA,
    PARTIAL,
    WHOLE,
    States,
    first_that_applies,
    has_value,
)
from services.aggregator.query.sums import Adder, Sums


@dataclass(frozen=True)
class Figures:
    """One column as its reader sees it, line by line; a rate keeps what it is made of, for the total of rates.

    Hidden numbers are not in here: where the state has no value, numerator and denominator are 0.
    """

    state: States
    numerator: Counts
    denominator: Counts | None
    observed: Counts
    elapsed: Counts

    @property
    def value(self) -> Counts:
        """Unrounded; NaN where there is none."""
        shown = np.where(has_value(self.state), self.numerator, np.nan)
        if self.denominator is None:
            return shown
        return shown / np.where(self.denominator > 0, self.denominator, 1.0)

    @property
    def share(self) -> Counts:
        """Observed part of the minutes held against each line; NaN where there are none yet."""
        return np.where(self.elapsed > 0, self.observed / np.where(self.elapsed > 0, self.elapsed, 1.0), np.nan)


@dataclass(frozen=True)
class Total:
    """A column's figure over all lines shown."""

    state: int
    value: float
    share: float
    left_out: int


class Door:
    """Lets figures of one table or widget through, for one reader."""

    def __init__(self, readings: Readings, widget: str, threshold: int) -> None:
        self._readings = readings
        self._sums = Adder(readings)
        self._widget = widget
        self._page = widget.partition(".")[0]
        self._threshold = threshold

    def figures(self, column: ReadyColumn, *, granted_only: bool = False) -> Figures:
        """A column's numbers or, when it has something to be divided by, its rates."""
        top = self._released(self._sums.add_up(column.parts, granted_only=granted_only))
        below = self._released(self._sums.add_up(column.over)) if column.over else None
        state = self._state(column, top, below)
        shown = has_value(state)
        bottom = None if below is None else np.where(shown, below.value, 0.0)
        return Figures(
            state=state,
            numerator=np.where(shown, self._at_most(top.value, bottom), 0.0),
            denominator=bottom,
            observed=top.observed if below is None else top.observed + below.observed,
            elapsed=top.elapsed if below is None else top.elapsed + below.elapsed,
        )

    def _released(self, sums: Sums) -> Sums:
        return release(sums, page=self._page, exact=self._readings.roll.exact, threshold=self._threshold)

    def _at_most(self, top: Counts, bottom: Counts | None) -> Counts:
        """A rate of rounded numbers may not pass 1."""
        return top if bottom is None or self._page != SOCIAL else np.minimum(top, bottom)

    def _state(self, column: ReadyColumn, top: Sums, below: Sums | None) -> States:
        readings = self._readings
        verdict = judge(column.column, self._widget, readings.roll, readings.window.school_year)
        parts = [top] if below is None else [top, below]
        inside = ~readings.outside
        unavailable = [part.nothing if below is None else part.lacking | part.nothing for part in parts]
        return first_that_applies(
            verdict.denied,
            np.logical_or.reduce(unavailable) & inside | verdict.too_early,
            np.logical_or.reduce([part.hidden for part in parts]) & inside,
            readings.outside if below is None else readings.outside | (below.value == 0),
            np.logical_or.reduce([part.short | part.lacking for part in parts]) | verdict.incomplete,
            np.logical_or.reduce([part.presumed for part in parts]),
        )


def total(figures: Figures) -> Total:
    """The sum over lines with a value, or Σ numerators / Σ denominators; says how many lines it lacks."""
    shown = has_value(figures.state)
    left_out = int(np.isin(figures.state, LEFT_OUT).sum())
    if not shown.any():
        return Total(_why_none(figures.state), np.nan, np.nan, left_out)
    value = figures.numerator[shown].sum()
    if figures.denominator is not None:
        value = value / figures.denominator[shown].sum()
    return Total(_state_of_sum(figures.state, left_out), float(value), _share(figures, shown), left_out)


def _why_none(states: States) -> int:
    """Why a total has no number: the first state among its lines; of no line at all it is without object."""
    return int(states.min()) if states.size else NA


def _state_of_sum(states: States, left_out: int) -> int:
    if left_out or (states == PARTIAL).any():
        return PARTIAL
    return ESTIMATED if (states == ESTIMATED).any() else WHOLE


def _share(figures: Figures, shown: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    elapsed = figures.elapsed[shown].sum()
    return float(figures.observed[shown].sum() / elapsed) if elapsed else np.nan
