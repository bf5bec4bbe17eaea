"""Cells added up into a column, on every line, with what is known of each part. Before the door: nothing here is shown as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.aggregator.query.columns import BY_ACCESS, Part
from services.aggregator.query.matrix import Counts
from services.aggregator.query.readings import Readings
from services.aggregator.query.states import Flags

_SOCIAL = "activities.social"
"""Leaves the agent when the local day is over."""


@dataclass(frozen=True)
class Sums:
    """One number per line and what bears on its state.

    `nothing`: no part is available (nd); `lacking`: some part is not; `hidden`: all that is available waits for secrecy's sake;
    `short`: some part was not wholly observed; `presumed`: some connection in it was read from an access log.
    """

    value: Counts
    nothing: Flags
    lacking: Flags
    hidden: Flags
    short: Flags
    presumed: Flags
    observed: Counts
    elapsed: Counts


class Adder:
    """Adds up the parts of columns of one question; a part that several columns share is added once."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._known: dict[tuple[Part, bool], Sums] = {}

    def add_up(self, parts: Sequence[Part], *, waits: bool, granted_only: bool = False) -> Sums:
        """The sum of `parts`.

        `waits`: it tells who connects, and goes without profiles that are hidden. `granted_only` leaves out, without a word,
        families that no agent was asked for.
        """
        every = [self._of(part, waits=waits) for part in parts]
        asked = [self._asked(part, granted_only=granted_only) for part in parts]
        told = [~part.nothing & ~part.hidden for part in every]
        nothing = _each([part.nothing for part in every])
        return Sums(
            value=_total([np.where(shown, part.value, 0.0) for shown, part in zip(told, every, strict=True)]),
            nothing=nothing,
            lacking=_some([part.nothing & wanted for part, wanted in zip(every, asked, strict=True)]),
            hidden=~nothing & ~_some(told),
            short=_some([shown & part.short for shown, part in zip(told, every, strict=True)]),
            presumed=_some([shown & part.presumed for shown, part in zip(told, every, strict=True)]),
            observed=_total([np.where(part.nothing, 0.0, part.observed) for part in every]),
            elapsed=_total([np.where(wanted, part.elapsed, 0.0) for part, wanted in zip(every, asked, strict=True)]),
        )

    def _of(self, part: Part, *, waits: bool) -> Sums:
        key = part, waits
        if key not in self._known:
            self._known[key] = _sum(part, self._readings, waits=waits)
        return self._known[key]

    def _asked(self, part: Part, *, granted_only: bool) -> Flags:
        return self._readings.granted(part.family) if granted_only else _all(self._readings)


def _sum(part: Part, readings: Readings, *, waits: bool) -> Sums:
    """One part, small profiles left out while they wait."""
    value, hidden = _without_hidden(part, readings) if waits else _plain(part, readings)
    nothing = _unavailable(part, readings)
    if part.family.kind == "level":
        none = np.zeros(len(readings.roll))
        return Sums(value, nothing, nothing, hidden, none > 0, none > 0, none, none)
    observation = readings.observations[part.family.source]
    taken = readings.taken_over(part.family)
    logged = (readings.logged_days > 0) & ~taken
    return Sums(
        value=value,
        nothing=nothing,
        lacking=nothing,
        hidden=hidden,
        short=(observation.misses_a_part(whole_day=readings.window.grain == "day") & ~taken)
        | readings.cut(part.family, part.codes)
        | readings.unfinished
        | (logged & part.of_who),
        presumed=logged & (part.family.source == "connections") & (value > 0),
        observed=np.where(taken, 0.0, observation.observed),
        elapsed=np.where(taken, 0.0, observation.elapsed),
    )


def _plain(part: Part, readings: Readings) -> tuple[Counts, Flags]:
    return readings.sum_of(part.all_codes), ~_all(readings)


def _without_hidden(part: Part, readings: Readings) -> tuple[Counts, Flags]:
    """A profile's own figure waits; a sum of profiles goes without those that wait, and says nothing of it."""
    value, nobody = _plain(part, readings)
    hidden = {profile: readings.hidden.get(profile, nobody) for profile in part.codes}
    for profile, codes in part.codes.items():
        if hidden[profile].any():
            value = value - np.where(hidden[profile], readings.sum_of(codes), 0.0)
    alone = len(part.codes) == 1 and part.family.kind != "level"
    return value, next(iter(hidden.values())) if alone else nobody


def _unavailable(part: Part, readings: Readings) -> Flags:
    """Before its first year, not observed, not asked for, or not to be known from what was read."""
    family = part.family
    if readings.window.school_year < part.since:
        return _all(readings)
    if family.kind == "level":
        return ~_each([readings.sum_of([mark]) > 0 for mark in part.marks])
    taken = readings.taken_over(family)
    unavailable = ~(readings.observations[family.source].seen | taken) | ~readings.granted(family)
    if part.of_who:
        unavailable |= readings.only_logged & ~taken
    if part.through_ent:
        unavailable |= _access_unknown(readings)
    if family.id == _SOCIAL:
        unavailable |= readings.no_day_over
    return unavailable


def _access_unknown(readings: Readings) -> Flags:
    """There were connections by `.Net`, and of none the access is known."""
    known = readings.sum_of(BY_ACCESS["direct"]) + readings.sum_of(BY_ACCESS["ent"])
    none_known: Flags = (known == 0) & (readings.sum_of(BY_ACCESS["unknown"]) > 0)
    return none_known


def _all(readings: Readings) -> Flags:
    return np.ones(len(readings.roll), np.bool_)


def _some(flags: Sequence[Flags]) -> Flags:
    some: Flags = np.logical_or.reduce(flags)
    return some


def _each(flags: Sequence[Flags]) -> Flags:
    each: Flags = np.logical_and.reduce(flags)
    return each


def _total(counts: Sequence[Counts]) -> Counts:
    total: Counts = np.sum(counts, axis=0, dtype=np.float64)
    return total
