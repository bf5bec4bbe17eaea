"""What was observed of a window, line by line: minutes against the minutes that have passed (rules.md 8). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contracts.catalogue import CATALOGUE, HOURS
from contracts.periods import bounds
from services.aggregator.query.lines import Roll
from services.aggregator.query.matrix import Counts
from services.aggregator.query.sheets import Pile, add_by_line
from services.aggregator.query.states import Flags
from services.aggregator.query.windows import Window

GRACE = timedelta(hours=2)
"""Hours that ended less than this ago are not held against anyone: agents publish in turn, lines arrive late."""
MISSABLE = 100
"""A window longer than a day may miss one minute in so many and still be called whole."""
ACCESS_LOG = "observed.access-log"
JOURNAL = "observed.journal"
MINUTES = {family: CATALOGUE.select(family, "minutes") for family in (JOURNAL, ACCESS_LOG)}
"""Cell codes of the observed minutes, by index of the hour in its local day."""
_HOUR = timedelta(hours=1)


@lru_cache(maxsize=4096)
def ended_hours(first: date, last: date, zone: str, now: datetime) -> int:
    """How many of the local hours of [first, last] ended more than `GRACE` ago."""
    begin, end = bounds("day", first, zone)[0], bounds("day", last, zone)[1]
    before_limit = -((begin - (now - GRACE)) // _HOUR) - 1
    return max(0, min((end - begin) // _HOUR, before_limit))


def elapsed_minutes(roll: Roll, first: date, last: date, now: datetime) -> Counts:
    """Minutes of the hours held against each line: within its opening dates, ended more than `GRACE` ago."""
    minutes = np.zeros(len(roll))
    for zone, places in roll.zones.items():
        minutes[places] = 60.0 * ended_hours(first, last, zone, now)
    outside = roll.outside(first, last)
    minutes[outside] = 0.0
    shorter = (roll.opened > first.toordinal()) | (roll.closed < last.toordinal())
    for place in np.flatnonzero(shorter & ~outside).tolist():
        begin, end = max(first, _day(roll.opened[place])), min(last, _day(roll.closed[place]))
        minutes[place] = 60.0 * ended_hours(begin, end, roll.lines[place].zone, now)
    return minutes


def _day(ordinal: np.int64) -> date:
    return date.fromordinal(int(ordinal))


@dataclass(frozen=True)
class Observation:
    """One source on every line: minutes observed in the hours held against it, those hours' minutes, any minute at all."""

    observed: Counts
    elapsed: Counts
    seen: Flags

    @classmethod
    def of(cls, observed: Counts, elapsed: Counts, seen: Flags) -> Observation:
        """Minutes outside the opening dates are not told apart in a sheet: never more than what has passed."""
        return cls(np.minimum(observed, elapsed), elapsed, seen)

    def misses_a_part(self, *, whole_day: bool) -> Flags:
        """Partial for lack of observation: any minute of a day, more than a hundredth of a longer window."""
        missed = self.elapsed - self.observed
        return missed > 0 if whole_day else missed * MISSABLE > self.elapsed

    def where(self, flags: Flags, other: Observation) -> Observation:
        """This one on the lines flagged, the other elsewhere."""
        return Observation(
            np.where(flags, self.observed, other.observed),
            np.where(flags, self.elapsed, other.elapsed),
            np.where(flags, self.seen, other.seen),
        )


class Minutes:
    """Observed minutes of day sheets, told apart: in hours held against a line, too recent, past the window."""

    def __init__(self, roll: Roll, pile: Pile, window: Window, now: datetime) -> None:
        self._roll = roll
        self._pile = pile
        self._past = pile.days > window.last_day.toordinal()
        self._late = self._late_hours(now) | self._past[:, None]

    def too_recent(self, family: str) -> Counts:
        """Minutes of each line that are not held against it."""
        return self._added(np.where(self._late, self._of(family), 0.0).sum(axis=1))

    def past(self, family: str) -> Counts:
        """Minutes of each line after the window's last day."""
        return self._added(np.where(self._past, self._of(family).sum(axis=1), 0.0))

    def counted(self, family: str, days: Flags) -> tuple[Counts, Flags]:
        """Of the sheets flagged: minutes of each line in hours held against it, and whether there is any minute at all."""
        minutes = np.where((days & ~self._past)[:, None], self._of(family), 0.0)
        return self._added(np.where(self._late, 0.0, minutes).sum(axis=1)), self._added(minutes.sum(axis=1)) > 0

    def _of(self, family: str) -> Counts:
        return self._pile.counts[:, self._pile.codes.places(MINUTES[family])]

    def _added(self, by_sheet: Counts) -> Counts:
        return add_by_line(self._pile.lines, by_sheet, len(self._roll))

    def _late_hours(self, now: datetime) -> Flags:
        late = np.zeros((len(self._pile), len(HOURS)), np.bool_)
        zones = list(self._roll.zones)
        kinds = self._pile.days * len(zones) + self._roll.zone_of[self._pile.lines]
        for kind in np.unique(kinds).tolist():
            day, zone = date.fromordinal(kind // len(zones)), zones[kind % len(zones)]
            late[kinds == kind] = np.arange(len(HOURS)) >= ended_hours(day, day, zone, now)
        return late


def observe(roll: Roll, window: Window, now: datetime, main: Pile, late: Pile, mixed: Pile) -> dict[str, Observation]:
    """What each source saw of the window.

    `main`: the window's own sheets; `late`: the day sheets of its last days; `mixed`: all day sheets of the lines whose
    connections were counted by the journal on some days and by an access log on others.
    """
    elapsed = elapsed_minutes(roll, window.first_day, window.last_day, now)
    recent = Minutes(roll, late, window, now)
    seen = {family: main.sum_of(codes) - recent.past(family) for family, codes in MINUTES.items()}
    of_family = {
        family: Observation.of(main.sum_of(MINUTES[family]) - recent.too_recent(family), elapsed, minutes > 0)
        for family, minutes in seen.items()
    }
    connections = _connections(roll, window, now, of_family, mixed)
    return {"journal": of_family[JOURNAL], "access-log": of_family[ACCESS_LOG], "connections": connections}


def access_log_days(roll: Roll, window: Window) -> NDArray[np.int64]:
    """How many open days of the window have their connections counted from an access log: grants say it."""
    return roll.granted_days(ACCESS_LOG, window.first_day, window.last_day)


def is_mixed(roll: Roll, window: Window) -> Flags:
    """Connections counted by the journal on some days of the window, by an access log on others."""
    days = access_log_days(roll, window)
    return (days > 0) & (days < roll.open_days(window.first_day, window.last_day))


def _connections(
    roll: Roll, window: Window, now: datetime, of_family: dict[str, Observation], mixed: Pile
) -> Observation:
    """Day by day the access log where it is granted, else the journal."""
    by_log = access_log_days(roll, window) > 0
    one_source = of_family[ACCESS_LOG].where(by_log, of_family[JOURNAL])
    if not len(mixed):
        return one_source
    minutes = Minutes(roll, mixed, window, now)
    logged = _granted(roll, mixed)
    of_log, log_seen = minutes.counted(ACCESS_LOG, logged)
    of_journal, journal_seen = minutes.counted(JOURNAL, ~logged)
    by_day = Observation.of(of_log + of_journal, one_source.elapsed, log_seen | journal_seen)
    return by_day.where(is_mixed(roll, window), one_source)


def _granted(roll: Roll, pile: Pile) -> Flags:
    """Whether each day sheet is of a day on which an access log is granted."""
    base = int(pile.days.min())
    granted = np.zeros((len(roll), int(pile.days.max()) - base + 1), np.bool_)
    grants = roll.grants[ACCESS_LOG]
    begins, ends = np.maximum(grants.first - base, 0), np.maximum(grants.last - base + 1, 0)
    for line, begin, end in zip(grants.line.tolist(), begins.tolist(), ends.tolist(), strict=True):
        granted[line, begin:end] = True
    flags: Flags = granted[pile.lines, pile.days - base]
    return flags
