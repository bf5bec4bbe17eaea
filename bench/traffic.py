"""Signed messages in the three shapes that matter, and the registry that lets them in.

Counts are drawn from a seed; which families, how many cells and how often they are published follow what an agent of a collège
sends: everything it has in a cadence where something changed, a month's and a year's people beside the day's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from aiokafka import AIOKafkaProducer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.kafka import ensure_topics
from contracts.catalogue import CATALOGUE, Grain
from contracts.registry import AgentKey, Convention, Establishment, Grant, Registry, Territory
from contracts.signing import AGENT_HEADER, SIGNATURE_HEADER, public_to_text, sign
from contracts.uai import key_letter
from contracts.usage_reported import MAX_MESSAGE_BYTES, TOPIC, Report, UsageReported, encode
from services.aggregator.running import topics

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOW.date()
PARIS = ZoneInfo("Europe/Paris")
AGENT = "bench"
KEY = Ed25519PrivateKey.generate()
LEVELS_IN_USE = 6
"""A collège reports its activities for four levels, SEGPA or ULIS, and none."""
ENVELOPE_BYTES = 2_000
WEB, HOURLY = CATALOGUE.select("web", "connections"), CATALOGUE.select("web", "connections_hour")
SOFTWARE = CATALOGUE.select("software", "connections")
SOFTWARE_HOURLY = CATALOGUE.select("software", "connections_hour")
PEOPLE = sorted(CATALOGUE.select("people", "people"))
OBSERVED = CATALOGUE.select("observed.journal", "minutes")
THEMES = ("activities.scolarite", "activities.communications", "activities.travaux")


@dataclass(frozen=True)
class Message:
    """As Kafka takes it."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


@dataclass
class Work:
    """Messages, and what is in them; `facts` are the entries of their arrays."""

    messages: list[Message] = field(default_factory=list)
    reports: int = 0
    facts: int = 0

    def add(self, uai: str, reports: Sequence[Report]) -> None:
        """One signed message."""
        value = encode(UsageReported(AGENT, uai, CATALOGUE.version, list(reports)))
        headers = [(AGENT_HEADER, AGENT.encode()), (SIGNATURE_HEADER, sign(KEY, value))]
        self.messages.append(Message(uai.encode(), value, headers))
        self.reports += len(reports)
        self.facts += sum(len(report.cells) for report in reports)


def uais_of(number: int) -> list[str]:
    """Establishments that exist nowhere."""
    return [f"{n:07d}{key_letter(f'{n:07d}')}" for n in range(1, number + 1)]


def registry(uais: Sequence[str]) -> Registry:
    """What identity would say: one agent that may report everything of all."""
    return Registry(
        1,
        [Territory("bench", "Bench", "Europe/Paris")],
        [Establishment(uai, uai, "college", "Europe/Paris") for uai in uais],
        [Convention("bench", uai, "joint") for uai in uais],
        [AgentKey(AGENT, public_to_text(KEY.public_key()))],
        [Grant(AGENT, uai, family) for uai in uais for family in CATALOGUE.families],
    )


def codes_of(theme: str) -> list[int]:
    """Cells of a theme that one establishment fills."""
    return [
        cell.code
        for cell in CATALOGUE.cells.values()
        if cell.family == theme and CATALOGUE.levels[cell.level].number <= LEVELS_IN_USE
    ]


def days_before(day: date, number: int) -> list[date]:
    """So many days, in order, the last of them the one before `day`."""
    return [day - timedelta(days=back) for back in range(number, 0, -1)]


def evenings(uais: Sequence[str], days: Iterable[date]) -> Work:
    """One message an establishment and day, each report once: next to nothing in a flush coalesces."""
    rng, work = np.random.default_rng(1), Work()
    for day in days:
        reports = [*day_reports(rng, day), *hour_reports(rng, day, range(8, 18))]
        for uai in uais:
            work.add(uai, reports)
    return work


def backlog(uais: Sequence[str], publications: int, day: date = TODAY) -> Work:
    """What waits after an outage: each establishment's day, as published every five minutes, growing."""
    rng, work = np.random.default_rng(2), Work()
    start = [*day_reports(rng, day), _people_of_month(rng, day), _people_of_year(rng, day)]
    hours = hour_reports(rng, day, range(8, 9 + publications // 12))
    for turn in range(publications):
        grown = [_grown(report, turn) for report in (*start, *hours[turn // 12 * 2 : turn // 12 * 2 + 2])]
        for uai in uais:
            work.add(uai, grown)
    return work


def _grown(report: Report, by: int) -> Report:
    return Report(report.family, report.grain, report.start, report.cells, [count + by for count in report.counts])


def school_years(uais: Sequence[str], first: date, last: date, hours_from: date) -> Iterator[Work]:
    """Everything an agent sends when it reads a school year again: full messages, one work an establishment.

    Days without lessons are observed and see few people; hours leave for the 90 days that they are kept.
    """
    for place, uai in enumerate(uais):
        if place % DISTINCT_YEARS == 0:
            rng = np.random.default_rng(place)
            reports = list(_school_year(rng, first, last, hours_from))
        work = Work()
        for part in _parts(reports):
            work.add(uai, part)
        yield work


DISTINCT_YEARS = 100
"""Establishments that share one drawn year: drawing costs more than merging."""


def _school_year(rng: np.random.Generator, first: date, last: date, hours_from: date) -> Iterator[Report]:
    months = set()
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        yield from day_reports(rng, day) if day.weekday() < SATURDAY else _quiet_day(rng, day)
        if day >= hours_from:
            yield from hour_reports(rng, day, range(7, 22) if day.weekday() < SATURDAY else range(10, 20))
        if day.replace(day=1) not in months:
            months.add(day.replace(day=1))
            yield _people_of_month(rng, day)
    yield _people_of_year(rng, first)


SATURDAY = 5


def _parts(reports: Iterable[Report]) -> Iterator[list[Report]]:
    """As an agent cuts them: messages as great as Kafka and the platform take."""
    part: list[Report] = []
    size = ENVELOPE_BYTES
    for report in reports:
        length = 60 + 10 * len(report.cells)
        if part and size + length > MAX_MESSAGE_BYTES:
            yield part
            part, size = [], ENVELOPE_BYTES
        part.append(report)
        size += length
    yield part


def day_reports(rng: np.random.Generator, day: date) -> list[Report]:
    """A day of lessons: connections, people, three themes, observation."""
    start = day.isoformat()
    daily = [("web", WEB), ("software", SOFTWARE), ("people", PEOPLE)]
    themes = [(theme, _some(rng, codes_of(theme))) for theme in THEMES]
    return [*(_report(rng, family, "day", start, codes) for family, codes in (*daily, *themes)), _observed(day)]


def _quiet_day(rng: np.random.Generator, day: date) -> list[Report]:
    start = day.isoformat()
    return [_report(rng, "web", "day", start, WEB), _report(rng, "people", "day", start, PEOPLE), _observed(day)]


def _observed(day: date) -> Report:
    return Report("observed.journal", "day", day.isoformat(), list(OBSERVED[:24]), [60] * 24)


def hour_reports(rng: np.random.Generator, day: date, hours: Iterable[int]) -> list[Report]:
    """Connections by hour, by web and by the software."""
    starts = [datetime(day.year, day.month, day.day, hour, tzinfo=PARIS) for hour in hours]
    return [
        _report(rng, family, "hour", start.isoformat(timespec="minutes"), codes)
        for start in starts
        for family, codes in (("web", HOURLY), ("software", SOFTWARE_HOURLY))
    ]


def _people_of_month(rng: np.random.Generator, day: date) -> Report:
    """Which no sum of days gives."""
    return _report(rng, "people", "month", day.replace(day=1).isoformat(), PEOPLE)


def _people_of_year(rng: np.random.Generator, day: date) -> Report:
    year = date(day.year if day.month >= SEPTEMBER else day.year - 1, SEPTEMBER, 1)
    return _report(rng, "people", "school_year", year.isoformat(), PEOPLE)


SEPTEMBER = 9


def _some(rng: np.random.Generator, codes: list[int]) -> list[int]:
    """Two thirds of them: not every level does everything every day."""
    chosen: list[int] = np.sort(rng.choice(codes, len(codes) * 2 // 3, replace=False)).tolist()
    return chosen


def _report(rng: np.random.Generator, family: str, grain: Grain, start: str, codes: Sequence[int]) -> Report:
    counts = rng.integers(1, 400, len(codes)).tolist()
    return Report(family, grain, start, list(codes), counts)


async def create_topics(bootstrap: str, prefix: str) -> None:
    """The platform's topics, under a prefix."""
    await ensure_topics(bootstrap, topics(prefix))


async def publish(bootstrap: str, prefix: str, messages: Iterable[Message]) -> None:
    """Send all, compressed as agents do, in great batches; returns when Kafka has them."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=1_000_000, compression_type="zstd",
        max_request_size=20_000_000,
    )  # fmt: skip
    await producer.start()
    for message in messages:
        await producer.send(prefix + TOPIC, message.value, message.key, headers=message.headers)
    await producer.stop()
