"""What an agent does for one establishment, turn by turn: read, release what was held, observe, announce, keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from contracts.catalogue import CATALOGUE
from contracts.periods import bounds, next_start, school_year_start
from services.collector import observation, reports
from services.collector.access_log.source import AccessLogSource
from services.collector.census.source import CensusSource
from services.collector.clock import AgentClock
from services.collector.local_calendar import Period, day_of, oldest_day
from services.collector.people import LONG_PATIENCE, SetKey, entered
from services.collector.reading import JournalSource
from services.collector.small import SmallProfiles
from services.collector.sources import ACCESS_LOG, JOURNAL

if TYPE_CHECKING:
    from contracts.fleet import FamilyStanding
    from contracts.usage_reported import UsageReported
    from services.collector.config import EstablishmentSettings
    from services.collector.reading import FollowedSource
    from services.collector.store import DuePeriod, SourceState, Store

KEEPING = timedelta(days=60)
"""How long a day that no longer changes, and that Kafka has, is kept: what the platform may ask to be sent again."""


@dataclass
class EstablishmentService:
    """One establishment on the shared state. Its methods open the transactions.

    `standing`: the highest restatements that the platform knows of it. `tidy`: what the settings say becomes of census files is
    done once they are read; `agent check` only looks.
    """

    settings: EstablishmentSettings
    store: Store
    clock: AgentClock = field(default_factory=AgentClock)
    tidy: bool = True
    standing: tuple[FamilyStanding, ...] = ()
    number: int = field(init=False)
    source: JournalSource = field(init=False)
    access_log: AccessLogSource = field(init=False)
    census: CensusSource = field(init=False)

    def __post_init__(self) -> None:
        with self.store.transaction():
            self.number = self.store.establishment(self.settings.uai)
        self.source = JournalSource(self.settings, self.number, self.store)
        self.access_log = AccessLogSource(self.settings, self.number, self.store)
        self.census = CensusSource(self.settings, self.number, self.store, tidy=self.tidy)

    def turn(self, now: datetime, *, budget: int, to_the_end: bool = False) -> bool:
        """Read about `budget` bytes on and bring the periods up to date; True when there is more to read at once."""
        self.census.turn(now, self.clock.platform_now())
        self._release_held(now)
        stood_at = [each for each in self.sources if each.turn(now, budget=budget, to_the_end=to_the_end)]
        with self.store.transaction():
            for source in stood_at:
                self._observe(source.name, now)
            self._announce_small_profiles(now.timestamp())
            self._stand()
            purged = self._keep(now)
        if purged:
            self.store.flush()
        return any(source.unread for source in self.sources)

    @property
    def sources(self) -> list[FollowedSource]:
        """The sources of lines that the settings name."""
        return [source for source in (self.source, self.access_log) if source.patterns]

    @property
    def problems(self) -> list[str]:
        """Why the end of a source could not be stood at."""
        return [problem for source in self.sources for problem in source.problems]

    def close(self) -> None:
        """Let go of the files being read."""
        for source in self.sources:
            source.close()

    # --- small profiles

    def _release_held(self, now: datetime) -> None:
        """Months that are over: what small profiles add to them and to their school year may leave (rules.md 5)."""
        for month in self.store.held_months(self.number):
            end = bounds("month", date.fromisoformat(month), self.settings.zone.key)[1]
            if end <= now:
                with self.store.transaction():
                    self._release(month, now.timestamp())

    def _release(self, month: str, now: float) -> None:
        for period, counts in self.store.take_held(self.number, month).items():
            self.store.add(self.number, period, counts, now=now, restatement=0)
        for number, profile, start in self.store.sets(self.number, "held"):
            if start.isoformat() == month:
                self._add_to_year(profile, start, self.store.masks(number), now)
                self.store.forget_set(number)

    def _add_to_year(self, profile: str, month: date, masks: dict[int, int], now: float) -> None:
        """Merge a small profile's month into its school year, person by person."""
        year = school_year_start(month)
        key = SetKey(profile, "school_year", year)
        stored = self.store.stored_set(self.number, key)
        grown, counts = {}, dict[int, int]()
        for digest, mask in masks.items():
            before = stored.known(digest) if stored else 0
            grown[digest] = before | mask
            for cell in entered(profile, before, before | mask, software_only=self._software_only):
                counts[cell] = counts.get(cell, 0) + 1
        closes = bounds("school_year", year, self.settings.zone.key)[1].timestamp() + LONG_PATIENCE
        self.store.save_people(self.number, key, closes, grown, now=now)
        if counts:
            self.store.add(
                self.number, Period("people", "school_year", year.isoformat()), counts, now=now, restatement=0
            )

    @property
    def _software_only(self) -> bool:
        return self.settings.sources.connections_source != JOURNAL

    def _announce_small_profiles(self, now: float) -> None:
        """Each month of which anything is reported says which profiles are small in it."""
        small = SmallProfiles(self.settings.type, self.store.small_profiles(self.number))
        for text in self.store.months(self.number):
            month = date.fromisoformat(text)
            cells = {CATALOGUE.code("diagnostics", "small_profile", profile): 1 for profile in small.of_month(month)}
            if cells and self.settings.grants_some_of(
                "diagnostics", month, next_start("month", month) - timedelta(days=1)
            ):
                self.store.raise_to(self.number, Period("diagnostics", "month", text), cells, now=now)

    def _stand(self) -> None:
        """Periods that were being counted at the highest restatement known do not stay below it (the state may have been lost).

        Those that were over by then stay as they are: what the platform holds of them is at least as good as a second count. Those
        that began later were never restated. A state that was not lost changes nothing by this.
        """
        for each in self.standing:
            if not each.family.startswith("census."):
                at = self.clock.business(datetime.fromtimestamp(each.restatement, UTC))
                day = at.astimezone(self.settings.zone).date()
                self.store.restatements.raise_to(self.number, each.family, day, each.restatement)

    # --- observation

    def _observe(self, name: str, now: datetime) -> None:
        """The agent stands at a source's end: minutes observed since it last did.

        Of an access log that is not in charge of connections nobody asks.
        """
        state = self.store.source(self.number, name)
        if state.earliest is None or (name == ACCESS_LOG and self.settings.sources.connections_source != ACCESS_LOG):
            return
        stood = max(now.timestamp(), state.stood or 0.0)
        spans = observation.observed(state.earliest, stood, self.store.heartbeats(self.number, name))
        first = state.earliest if state.observed is None else max(state.earliest, state.observed)
        dropped = self.store.dropped_days(self.number)
        day, last = day_of(first, self.settings.zone), day_of(stood, self.settings.zone)
        while day <= last:
            if day not in dropped and self.settings.grants_family(f"observed.{name}", day):
                self._observe_day(f"observed.{name}", day, spans, now.timestamp())
            day += timedelta(days=1)
        self.store.save_source(self.number, name, state._replace(stood=stood, observed=stood))

    def _observe_day(self, family: str, day: date, spans: list[observation.Span], now: float) -> None:
        minutes = observation.minutes_of_day(day, self.settings.zone.key, spans)
        if minutes:
            cells = {CATALOGUE.code(family, "minutes", level=str(hour)): n for hour, n in minutes.items()}
            self.store.raise_to(self.number, Period(family, "day", day.isoformat()), cells, now=now)

    # --- publication

    def messages(self, agent: str, now: datetime) -> list[tuple[UsageReported, list[DuePeriod]]]:
        """What changed since Kafka last acknowledged it and may leave now, with the periods that each message carries."""
        zone, earliest = self.settings.zone.key, self.store.source(self.number, JOURNAL).earliest
        web = self.store.source(self.number, self.settings.sources.connections_source).earliest
        due = (
            (
                period,
                reports.report(period, self.store.cells(period.id), zone, web if period.family == "web" else earliest),
            )
            for period in self.store.due(self.number)
            if reports.may_leave(period, zone, now)
        )
        return list(reports.messages(agent, self.settings.uai, due))

    def mark_published(self, sent: list[DuePeriod], real_now: float) -> None:
        """Kafka has them."""
        with self.store.transaction():
            self.store.mark_published(self.number, sent, real_now=real_now)

    # --- keeping

    def _keep(self, now: datetime) -> bool:
        """Let go of what is past its time; whether people were."""
        state: SourceState = self.store.source(self.number, JOURNAL)
        purged = state.newest is not None and self.store.purge_sets(self.number, state.newest, now.timestamp())
        self.store.drop_days(self.number, (now - KEEPING).timestamp())
        self.store.forget_before(self.number, oldest_day(now.astimezone(self.settings.zone).date()))
        return purged
