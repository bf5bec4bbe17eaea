"""The one door between what is stored and what is shown: release, then rights; then rates and totals of what came through. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.aggregator.query.columns import Part, ReadyColumn
from services.aggregator.query.matrix import Counts, Indexes
from services.aggregator.query.readings import Readings
from services.aggregator.query.release import is_rounded, release
from services.aggregator.query.rights import judge
from services.aggregator.query.states import (
    ESTIMATED,
    LEFT_OUT,
    NA,
    PARTIAL,
    WHOLE,
    Flags,
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
    """Lets figures of one window through, for one reader."""

    def __init__(self, readings: Readings, threshold: int) -> None:
        self.readings = readings
        self._sums = Adder(readings)
        self._threshold = threshold

    def figures(self, column: ReadyColumn, *, granted_only: bool = False) -> Figures:
        """A column's numbers, divided where it has something to be divided by."""
        top = self._released(column, column.parts, granted_only=granted_only)
        below = self._released(column, column.over) if column.over else None
        state = self._state(column, top, below)
        shown = has_value(state)
        bottom = None if below is None else np.where(shown, below.value, 0.0)
        return Figures(
            state=state,
            numerator=np.where(shown, _numerator(column, top, bottom), 0.0),
            denominator=bottom,
            observed=top.observed if below is None else top.observed + below.observed,
            elapsed=top.elapsed if below is None else top.elapsed + below.elapsed,
        )

    def _released(self, column: ReadyColumn, parts: Sequence[Part], *, granted_only: bool = False) -> Sums:
        sums = self._sums.add_up(parts, waits=column.waits, granted_only=granted_only)
        if not is_rounded(column.column):
            return sums
        return release(sums, exact=self.readings.roll.exact, threshold=self._threshold)

    def _state(self, column: ReadyColumn, top: Sums, below: Sums | None) -> States:
        readings = self.readings
        verdict = judge(column.column, readings.roll, readings.window.school_year)
        parts = [top] if below is None else [top, below]
        inside = ~readings.outside
        unavailable = [part.nothing if below is None else part.lacking | part.nothing for part in parts]
        if below is not None and verdict.incomplete:
            unavailable.append(inside)
        return first_that_applies(
            verdict.denied,
            np.logical_or.reduce(unavailable) & inside | verdict.too_early,
            np.logical_or.reduce([part.hidden for part in parts]) & inside,
            readings.outside | self._without_object(column, top, below),
            np.logical_or.reduce([part.short | part.lacking for part in parts]) | verdict.incomplete,
            np.logical_or.reduce([part.presumed for part in parts]),
        )

    def _without_object(self, column: ReadyColumn, top: Sums, below: Sums | None) -> Flags:
        """Nothing to divide by, or a level that the establishment does not have and of which nothing was counted."""
        nothing = np.zeros(len(self.readings.roll), np.bool_) if below is None else below.value == 0
        if column.column.level:
            nothing = nothing | (self.readings.roll.lacks(column.column.level) & (top.value == 0))
        return nothing


def _numerator(column: ReadyColumn, top: Sums, bottom: Counts | None) -> Counts:
    """A rate of rounded numbers may not pass 1."""
    return top.value if bottom is None or not is_rounded(column.column) else np.minimum(top.value, bottom)


def total(figures: Figures) -> Total:
    """The sum over lines with a value, or Σ numerators / Σ denominators; says how many lines it lacks."""
    return totals(
        Figures(
            state=figures.state[:, None],
            numerator=figures.numerator[:, None],
            denominator=None if figures.denominator is None else figures.denominator[:, None],
            observed=figures.observed[:, None],
            elapsed=figures.elapsed[:, None],
        )
    )[0]


def totals(figures: Figures) -> list[Total]:
    """The total of each column of figures whose arrays are lines × columns."""
    states = figures.state
    shown = has_value(states)
    some: Flags = np.any(shown, axis=0)
    left_out = _IS_LEFT_OUT[states].sum(axis=0)
    below: Counts | Flags = some if figures.denominator is None else _sum_of(figures.denominator, shown)
    state = np.where(some, _states_of_sums(states, left_out), _why_none(states))
    value = _divided(_sum_of(figures.numerator, shown), below)
    share = _divided(_sum_of(figures.observed, shown), _sum_of(figures.elapsed, shown))
    return list(map(Total, state.tolist(), value.tolist(), share.tolist(), left_out.tolist()))


_IS_LEFT_OUT = np.isin(np.arange(ESTIMATED + 1), LEFT_OUT)


def _sum_of(counts: Counts, shown: Flags) -> Counts:
    added: Counts = np.where(shown, counts, 0.0).sum(axis=0)
    return added


def _divided(top: Counts, below: Counts | Flags) -> Counts:
    """NaN where there is nothing to divide by."""
    return np.where(below > 0, top / np.where(below > 0, below, 1.0), np.nan)


def _why_none(states: States) -> States:
    """Why a total has no number: the first state among its lines; of no line at all it is without object."""
    first: States = states.min(axis=0, initial=NA)
    return first


def _states_of_sums(states: States, left_out: Indexes) -> States:
    partial = (left_out > 0) | (states == PARTIAL).any(axis=0)
    return np.where(partial, PARTIAL, np.where((states == ESTIMATED).any(axis=0), ESTIMATED, WHOLE)).astype(np.int8)
