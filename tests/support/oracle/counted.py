"""One establishment, counted: connections and people by profile and channel in a window (rules.md 5)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.support.oracle.access_log import read_access_log
from tests.support.oracle.accounts import accounts, small_profiles
from tests.support.oracle.activities import by_measure
from tests.support.oracle.cells import Cell, without_value
from tests.support.oracle.census import read_census
from tests.support.oracle.days import midnight, next_month, school_year
from tests.support.oracle.journal import PROFILES, Connection, Journal, read_journal
from tests.support.oracle.observed import Quality, minutes_by_hour, observed_spans, quality_of_window

if TYPE_CHECKING:
    from datetime import date, datetime

    from tests.support.oracle.activities import ByMeasure
    from tests.support.oracle.census import Census, CensusFile
    from tests.support.oracle.days import Window
    from tests.support.oracle.territory import Establishment

CHANNELS = {
    "all": ("web", "mobile", "software"),
    "net": ("web", "mobile"),
    "mobile": ("mobile",),
    "software": ("software",),
}
WITH_SOFTWARE = ("total", "enseignant", "personnel")
FIRST_YEARS = {"accompagnant.net": (2020, 2020), "accompagnant.mobile": (2020, 2020), "personnel.all": (2010, 2014)}
FIRST_YEARS |= {"personnel.net": (2014, 2014), "personnel.mobile": (2014, 2014)}
"""First and complete year of the columns whose indicator does not go back to 2010 (indicators.csv)."""


@dataclass(frozen=True)
class Counted:
    establishment: Establishment
    now: datetime
    qualities: dict[Window, Quality] = field(default_factory=dict, repr=False)
    activity_qualities: dict[Window, Quality] = field(default_factory=dict, repr=False)
    remembered: dict[tuple[Any, ...], list[Connection]] = field(default_factory=dict, repr=False)

    @cached_property
    def census(self) -> Census:
        return read_census(self.establishment.census, self.now.astimezone(self.establishment.zone).date())

    def census_file(self, name: str, window: Window) -> CensusFile | None:
        """The newest one of the school year of the window's last day, never another year's."""
        return self.census.get((school_year(window.last), name))

    @cached_property
    def small_profiles(self) -> tuple[str, ...]:
        return small_profiles(self.census, self.establishment.type)

    def accounts_of(self, column: str, window: Window) -> Cell:
        """Accounts of the column's profiles; a total leaves out the accounts of profiles whose people it leaves out."""
        file = self.census_file("comptes", window)
        if file is None:
            return without_value("nd")
        held = accounts(file)
        return Cell(Fraction(sum(held[profile] for profile in self._chosen(column, window))))

    def _chosen(self, column: str, window: Window) -> list[str]:
        profile = column.partition(".")[0]
        return [profile] if profile != "total" else [each for each in PROFILES if not self.hidden(each, window)]

    @cached_property
    def beside(self) -> Counted | None:
        """The same establishment as its journal knows it, where a log is in charge of connections by web and mobile."""
        if not self.establishment.presumed or not self.establishment.has_journal:
            return None
        return Counted(replace(self.establishment, access_log=()), self.now)

    @cached_property
    def journal(self) -> Journal:
        """The source of connections, be it a log, which names nobody."""
        if self.establishment.presumed:
            return read_access_log(self.establishment)
        return read_journal(self.establishment.journal, self.establishment.zone, self.now)

    @cached_property
    def facts(self) -> Journal:
        """The journal, of which activities come even where a log is in charge of connections; empty where there is none."""
        if self.establishment.presumed:
            return read_journal(self.establishment.journal, self.establishment.zone, self.now)
        return self.journal

    @cached_property
    def activities(self) -> ByMeasure:
        return by_measure(self.facts.activities)

    @cached_property
    def activity_minutes(self) -> dict[datetime, int]:
        return minutes_by_hour(self.establishment, observed_spans(self.facts, self.now))

    def activity_quality(self, window: Window) -> Quality:
        if window not in self.activity_qualities:
            found = quality_of_window(self.establishment, self.activity_minutes, window, self.now)
            self.activity_qualities[window] = found
        return self.activity_qualities[window]

    @cached_property
    def by_profile(self) -> dict[str, list[Connection]]:
        return {profile: [fact for fact in self.journal.connections if fact.profile == profile] for profile in PROFILES}

    @cached_property
    def minutes(self) -> dict[datetime, int]:
        return minutes_by_hour(self.establishment, observed_spans(self.journal, self.now))

    def quality(self, window: Window) -> Quality:
        if window not in self.qualities:
            self.qualities[window] = quality_of_window(self.establishment, self.minutes, window, self.now)
        return self.qualities[window]

    def month_is_over(self, day: date) -> bool:
        return self.now >= midnight(next_month(day), self.establishment.zone)

    def connections(self, column: str, window: Window, *, granted_only: bool = False) -> Cell:
        """Connections of `profile.channel`, or of `total.channel` over the profiles that may be shown.

        `granted_only`: a channel that no agent was asked for is left out without a word.
        """
        cell = self._cell(column, window, people=False)
        return self._presumed(column, cell, window, granted_only=granted_only) if self.establishment.presumed else cell

    def _presumed(self, column: str, cell: Cell, window: Window, *, granted_only: bool) -> Cell:
        """An access log knows no desktop client: `software` is what a journal beside it says, or `nd`, and `all` lacks it."""
        profile, channel = column.split(".")
        if channel == "software":
            beside = self.beside.connections(column, window) if self.beside else without_value("nd")
            return beside if self.beside or cell.value is not None else cell
        if channel == "all" and profile in WITH_SOFTWARE and (self.beside or not granted_only):
            return self._of_both(column, cell, window)
        return replace(cell, state="estimated") if cell.state is None and cell.value else cell

    def _of_both(self, column: str, net: Cell, window: Window) -> Cell:
        """What the log knows and what a journal beside it says of the client.

        Doubt: the share of a sum pools the minutes of its parts; those of a part that is missing count as unobserved.
        """
        software = self._by_client(column, window)
        parts = [part for part in (net, software) if part.value is not None]
        if not parts:
            return net
        partial = len(parts) < 2 or "partial" in (net.state, software.state)
        state = "partial" if partial else "estimated" if net.value else None
        share = self._pooled_share(net, software, window) if partial else None
        return Cell(sum((part.value for part in parts if part.value is not None), Fraction()), state, share)

    def _pooled_share(self, net: Cell, software: Cell, window: Window) -> float | None:
        """None where no minute is due yet."""
        by_client = self.beside.quality(window).share if self.beside and software.value is not None else None
        shares = [self.quality(window).share if net.value is not None else None, by_client]
        return None if shares == [None, None] else sum(share or 0 for share in shares) / 2

    def _by_client(self, column: str, window: Window) -> Cell:
        client = column.partition(".")[0] + ".software"
        return self.beside.connections(client, window) if self.beside else without_value("nd")

    def lacks_a_part(self, column: str, window: Window) -> bool:
        """Whether a sum over all channels lacks those by web or those by the client."""
        if (
            not self.establishment.presumed
            or not column.endswith(".all")
            or column.split(".", maxsplit=1)[0] not in WITH_SOFTWARE
        ):
            return False
        net = self._cell(column.replace(".all", ".net"), window, people=False)
        return "nd" in (net.state, self._by_client(column, window).state)

    def people(self, column: str, window: Window, *, ent: bool = False) -> Cell:
        """Distinct people by profile; the total adds profiles, so it counts accounts. An access log names nobody."""
        if not self.establishment.presumed:
            return self._cell(column, window, people=True, ent=ent)
        if self.beside and column.endswith(".software"):
            return self.beside.people(column, window)
        state = self._state(column, window)
        return without_value("na" if state == "na" else "nd")

    def _cell(self, column: str, window: Window, *, people: bool, ent: bool = False) -> Cell:
        state = self._state(column, window)
        if ent and state in (None, "s") and self._access_unknown(window):
            state = "nd"
        if state is not None:
            return without_value(state)
        lacking = component_missing(column, window)
        # Doubt: a set of people cannot be cut down to its known part; a sum of connections can.
        channel = "software" if lacking and not people else column.split(".")[1]
        chosen = self._chosen(column, window)
        value = sum(self._count(each, channel, window, people=people, ent=ent) for each in chosen)
        quality = self.quality(window)
        partial = quality.state == "partial" or self._cut(chosen, channel, window, people=people) or lacking
        share = _halved(quality.share) if lacking and not people else quality.share
        return Cell(Fraction(value), "partial" if partial else None, share if partial else None)

    def _state(self, column: str, window: Window) -> str | None:
        """The first of `nd s na` that applies.

        Doubt: out of its opening dates nothing was there to observe, so `na` comes before "not observed"; "before the first
        year" comes before both.
        """
        if school_year(window.last).first.year < FIRST_YEARS.get(column, (2010, 2010))[0]:
            return "nd"
        quality = self.quality(window)
        if quality.state in ("nd", "na"):
            return quality.state
        return "s" if self.hidden(column.partition(".")[0], window) else None

    def _access_unknown(self, window: Window) -> bool:
        """There were connections by `.Net`, and of none the access is known: "0 by the ENT" would be a guess.

        Doubt: the rule stands in the chapter on access logs; here it holds for whatever source leaves the access open.
        """
        accesses = {
            fact.access
            for profile in PROFILES
            if not self.hidden(profile, window)
            for fact in self._facts(profile, "net", window, people=False, ent=False)
        }
        return accesses == {"unknown"}

    def hidden(self, profile: str, window: Window) -> bool:
        """Below five accounts: nothing on a day grain, in `current-month`, nor of a month that is not over.

        Doubt: a year of which no month is over since the opening date shows `s` (nothing missing is ever 0), as does last
        month where it still lasts (overseas).
        """
        if profile not in self.small_profiles:
            return False
        if window.grain == "day" or (window.grain == "month" and not window.complete):
            return True
        return not self.month_is_over(max(window.first, self.establishment.opened or window.first))

    def _count(self, profile: str, channel: str, window: Window, *, people: bool, ent: bool) -> int:
        facts = self._facts(profile, channel, window, people=people, ent=ent)
        return len({fact.who for fact in facts}) if people else len(facts)

    def _facts(self, profile: str, channel: str, window: Window, *, people: bool, ent: bool) -> list[Connection]:
        asked = (profile, channel, window, people, ent)
        if asked not in self.remembered:
            self.remembered[asked] = self._found(profile, channel, window, people=people, ent=ent)
        return self.remembered[asked]

    def _found(self, profile: str, channel: str, window: Window, *, people: bool, ent: bool) -> list[Connection]:
        small = profile in self.small_profiles
        day_after = self._day_after(window, people=people)
        return [
            fact
            for fact in self.by_profile.get(profile, [])
            if fact.channel in CHANNELS[channel]
            and window.first <= fact.day < day_after
            and (not small or self.month_is_over(fact.day))
            and (not people or window.grain in fact.kept_by)
            and (not ent or fact.access == "ent")
        ]

    @staticmethod
    def _day_after(window: Window, *, people: bool) -> date:
        """Doubt: a set of people cannot be cut at the territory's date, so an open month or year has all its people so far.

        It differs only where local time is ahead of the territory's, or for lines ahead of the clock.
        """
        return window.period[1] if people else window.last + timedelta(days=1)

    def _cut(self, profiles: list[str], channel: str, window: Window, *, people: bool) -> bool:
        """Whether a report of this very period was cut: made where over 1 % of it had passed before the first line read.

        A report is a whole family: people through all channels, connections by web and mobile, connections by the client.
        Connections of a month are folded from days, whose cuts stay theirs: only what small profiles had in it is reported
        by month, and no connection is reported by year.
        Doubt: "the first line that this agent's state file has read" is taken per establishment, as the earliest one.
        """
        if self.establishment.opened and self.establishment.opened > window.period[0]:
            return False  # nothing was there to be read before; what was missed since, the observed share says
        start, end = (midnight(day, self.establishment.zone) for day in window.period)
        first = self.journal.earliest
        if first is None or (first - start) * 100 <= end - start:
            return False
        small = self.small_profiles
        if people:
            reported = [each for each in PROFILES if window.grain != "day" or each not in small]
            return any(self._facts(each, "all", window, people=True, ent=False) for each in reported)
        if window.grain == "day":
            reported = [each for each in PROFILES if each not in small]
        else:
            reported = [each for each in small if window.grain == "month" and set(profiles) & set(small)]
        families = {"all": ("net", "software"), "software": ("software",)}.get(channel, ("net",))
        return any(
            self._facts(each, family, window, people=False, ent=False) for each in reported for family in families
        )


def component_missing(column: str, window: Window) -> bool:
    """Whether the window lies between the first year of an indicator and the first year of all that it is made of."""
    first, whole = FIRST_YEARS.get(column, (2010, 2010))
    return first <= school_year(window.last).first.year < whole


def _halved(share: float | None) -> float | None:
    """Of two components one is missing, and with it its minutes."""
    return None if share is None else share / 2
