"""What sheets say about one window, line by line: counts, what was observed, what hides them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from contracts.catalogue import CATALOGUE, Family
from contracts.periods import month_start, school_year_start
from services.aggregator.query.columns import SMALL, Plan
from services.aggregator.query.lines import Roll
from services.aggregator.query.matrix import Codes, Counts
from services.aggregator.query.observation import GRACE, MINUTES, Observation, access_log_days, observe
from services.aggregator.query.sheets import Moment, PeriodSheets, Pile, Piles, Span
from services.aggregator.query.states import Flags
from services.aggregator.query.windows import Window

AHEAD = timedelta(days=3)
"""No sheet is of a later day: reports reach 25 h ahead of the clock, zones 14 h ahead of UTC and 12 h behind."""


@dataclass(frozen=True)
class Readings:
    """One window as its sheets tell it. Arrays have one entry per line of the roll.

    `small`: by profile, where it is small. `hidden`: where, besides, its figures wait for the end of a month.
    `small_left_out`: where totals of the window lack such a profile. `logged_days`: how many of the window's open days are
    counted from an access log. `no_day_over`: where the window's first local day is not over yet. `reported`: of
    which anything at all was reported in the period. `taken_over_families`: a bit per family that is known of a year before
    the agents.
    """

    roll: Roll
    window: Window
    moment: Moment
    codes: Codes
    counts: Counts
    cut_families: NDArray[np.int64]
    observations: dict[str, Observation]
    small: dict[str, Flags]
    hidden: dict[str, Flags]
    small_left_out: Flags
    outside: Flags
    unfinished: Flags
    logged_days: NDArray[np.int64]
    no_day_over: Flags
    reported: Flags
    taken_over_families: NDArray[np.int64]
    as_of: datetime | None

    def sum_of(self, codes: Sequence[int]) -> Counts:
        counts: Counts = self.counts[:, self.codes.places(codes)].sum(axis=1)
        return counts

    def granted(self, family: Family) -> Flags:
        """Some agent may report the family for some day of the window."""
        return self.roll.granted_days(family.id, self.window.first_day, self.window.last_day) > 0

    def taken_over(self, family: Family) -> Flags:
        """Where the family's year is known by its totals alone, from before the agents: nobody observed it, and all of it counts."""
        taken: Flags = (self.taken_over_families >> family.number) & 1 == 1
        return taken

    def is_taken_over(self, family: Family) -> bool:
        """Some line's year is; of a census only where agents cannot have read it: they go back to the year before this one."""
        by_agents = self.window.school_year >= school_year_start(self.moment.today).year - 1
        return not (family.kind == "level" and by_agents) and bool(self.taken_over(family).any())

    def cut(self, family: Family, profiles: Iterable[str]) -> Flags:
        """Whether a report that these profiles' figures come from was cut.

        Connections of a month come from days, whose cuts stay theirs; a report of the month itself holds small profiles only.
        """
        cut: Flags = (self.cut_families >> family.number) & 1 == 1
        if family.kind == "counter" and self.window.grain != "day":
            nobody = np.zeros(len(self.roll), np.bool_)
            cut &= np.logical_or.reduce([self.small.get(profile, nobody) for profile in profiles], initial=False)
        return cut

    @property
    def only_logged(self) -> Flags:
        """Lines whose connections were counted from an access log all the window long."""
        every_day = self.logged_days >= self.roll.open_days(self.window.first_day, self.window.last_day)
        logged: Flags = every_day & (self.logged_days > 0)
        return logged


class Reader:
    """Knows which sheets a window takes, and makes readings of them."""

    def __init__(self, roll: Roll, window: Window, moment: Moment, plan: Plan) -> None:
        self._roll = roll
        self._window = window
        self._moment = moment
        self._plan = plan
        self._main = Span.of_period(window.grain, window.start)
        self._late = self._main if window.grain == "day" else self._late_days()
        self._month = Span.of_period("month", month_start(window.first_day)) if window.grain == "day" else self._main
        self._census = Span.of_period("school_year", school_year_start(window.last_day))

    @property
    def spans(self) -> set[Span]:
        """The window's own sheets, its census', the month that names small profiles, the days still moving."""
        spans = {self._main, self._month}
        if self._late:
            spans.add(self._late)
        if self._plan.has_census:
            spans.add(self._census)
        return spans

    def read(self, piles: Piles, days: Sequence[PeriodSheets] = ()) -> Readings:
        """Readings of the sheets of `spans`; `days`: all the window's day sheets of the lines of mixed sources."""
        window, now = self._window, self._moment.now
        main = piles.of(self._main)
        late = piles.of(self._late)
        census = piles.of(self._census if self._plan.has_census else None)
        small = self._small(piles.of(self._month))
        held_back = self._held_back()
        return Readings(
            roll=self._roll,
            window=window,
            moment=self._moment,
            codes=self._plan.codes,
            counts=self._counts(main, late, census),
            cut_families=self._cut_families(main),
            observations=observe(self._roll, window, now, main, late, Pile(self._roll, days, self._plan.codes)),
            small=small,
            hidden={profile: flags & held_back for profile, flags in small.items()},
            small_left_out=np.logical_or.reduce(list(small.values())) & (held_back | self._is_open_year),
            outside=self._roll.outside(window.first_day, window.last_day),
            unfinished=self._roll.unfinished(window.last_day, now) & window.complete,
            logged_days=access_log_days(self._roll, window),
            no_day_over=self._no_day_over(),
            reported=np.bincount(main.lines, minlength=len(self._roll)) > 0,
            taken_over_families=self._taken_over(main),
            as_of=max(filter(None, (main.as_of, census.as_of)), default=None),
        )

    def _taken_over(self, main: Pile) -> NDArray[np.int64]:
        """Families of a school year that is over, of which no minute was observed and something was reported all the same."""
        if self._window.grain != "school_year" or not self._window.complete:
            return np.zeros(len(self._roll), np.int64)
        minutes = main.sum_of(code for codes in MINUTES.values() for code in codes)
        return main.families(minutes == 0)

    @property
    def _is_open_year(self) -> bool:
        """A year's sheet tells in how many of its months a profile was small, not in which: said of any year still open."""
        return self._window.grain == "school_year" and not self._window.complete

    def _late_days(self) -> Span | None:
        """Days of the period with hours too recent to be held against anyone, or past the territory's date."""
        instant = self._moment.now - GRACE - timedelta(hours=1)
        dates = [instant.astimezone(ZoneInfo(zone)).date() for zone in self._roll.zones]
        first = max(min(dates, default=self._moment.today), self._window.start)
        last = min(self._moment.today + AHEAD, self._window.period_end)
        return Span("day", first, last) if first <= last else None

    def _counts(self, main: Pile, late: Pile, census: Pile) -> Counts:
        """The window's cells, less what an agent ahead of the territory's date has counted since; censuses from their year."""
        past = (late.days > self._window.last_day.toordinal())[:, None] & self._is_added
        counts = main.by_line()
        if past.any():
            np.subtract.at(counts, late.lines, np.where(past, late.counts, 0.0))
            counts = np.maximum(counts, 0.0)
        return np.where(self._is_level, census.by_line(), counts)

    @property
    def _is_added(self) -> Flags:
        return self._is_kind("counter")

    @property
    def _is_level(self) -> Flags:
        return self._is_kind("level")

    def _is_kind(self, kind: str) -> Flags:
        families = [CATALOGUE.families[CATALOGUE.cells[code].family] for code in self._plan.codes.codes]
        return np.array([family.kind == kind for family in families], np.bool_)

    def _cut_families(self, main: Pile) -> NDArray[np.int64]:
        """Families whose report of this very period is cut; not where the establishment opened in it.

        Its agent has read no line before because there was none: what was missed since the opening, the share says.
        """
        cut = np.zeros(len(self._roll), np.int64)
        cut[main.lines] = main.cut_families
        return np.where(self._roll.opened > self._window.start.toordinal(), 0, cut)

    def _small(self, month: Pile) -> dict[str, Flags]:
        return {profile: month.sum_of([code]) > 0 for profile, code in SMALL.items()}

    def _held_back(self) -> Flags:
        """Where figures of small profiles are not told yet: by day, and until a first local month is over."""
        match self._window.grain:
            case "school_year":
                return self._before_first_month()
            case "month" if self._window.complete:
                return self._roll.unfinished(self._window.last_day, self._moment.now)
        return np.ones(len(self._roll), np.bool_)

    def _before_first_month(self) -> Flags:
        """Lines of which no month of the window is over: it would be none since the start or the opening."""
        return self._roll.none_over("month", self._window.start, self._moment.now)

    def _no_day_over(self) -> Flags:
        first = self._window.first_day
        if first >= self._moment.today:
            return np.ones(len(self._roll), np.bool_)
        return self._roll.none_over("day", first, self._moment.now)
