"""From periods that changed to signed-size messages: what may leave now, and whether it was cut. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from contracts.catalogue import CATALOGUE
from contracts.periods import bounds
from contracts.usage_reported import MAX_MESSAGE_BYTES, Report, UsageReported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from services.collector.store import DuePeriod

AFTER_THE_DAY = "activities.social"
"""Leaves once the local day is over: nobody watches an afternoon's absences grow (rules.md 1)."""
CUT_SHARE = 0.01
"""Part of a period that may have passed before the first line without it being cut."""
ENVELOPE_BYTES = 2_000
"""Room left for agent, UAI and brackets."""

_encode = msgspec.json.Encoder().encode


def may_leave(period: DuePeriod, zone: str, now: datetime) -> bool:
    """Whether a period's state may be published at `now`."""
    return period.family != AFTER_THE_DAY or _bounds(period, zone)[1] <= now


def report(period: DuePeriod, cells: list[tuple[int, int]], zone: str, earliest: float | None) -> Report:
    """The whole state of a period; `earliest` is the first accepted instant that this state has read."""
    return Report(
        family=period.family,
        grain=period.grain,
        start=period.start,
        cells=[code for code, _ in cells],
        counts=[count for _, count in cells],
        restatement=period.restatement,
        cut=_is_cut(period, zone, earliest),
    )


def _is_cut(period: DuePeriod, zone: str, earliest: float | None) -> bool:
    """More than a hundredth of the period had passed before the first line: what it counts is not whole.

    Observation and diagnostics tell of the agent itself, a census of one day, whole: these are never cut. Nor is a year that was
    over before the first line: what stands in it was imported.
    """
    if earliest is None or period.family.startswith(("observed.", "diagnostics", "census.")):
        return False
    start, end = (instant.timestamp() for instant in _bounds(period, zone))
    return end > earliest > start + CUT_SHARE * (end - start)


def _bounds(period: DuePeriod, zone: str) -> tuple[datetime, datetime]:
    if period.grain == "hour":
        start = datetime.fromisoformat(period.start)
        return start, start + timedelta(hours=1)
    return bounds(period.grain, date.fromisoformat(period.start), zone)


def messages(
    agent: str, uai: str, due: Iterable[tuple[DuePeriod, Report]]
) -> Iterator[tuple[UsageReported, list[DuePeriod]]]:
    """Messages that hold these reports, each under the size that Kafka and the platform accept, and their periods."""
    periods: list[DuePeriod] = []
    reports: list[Report] = []
    size = ENVELOPE_BYTES
    for period, each in due:
        length = len(_encode(each)) + 1
        if reports and size + length > MAX_MESSAGE_BYTES:
            yield UsageReported(agent, uai, CATALOGUE.version, reports), periods
            periods, reports, size = [], [], ENVELOPE_BYTES
        periods.append(period)
        reports.append(each)
        size += length
    if reports:
        yield UsageReported(agent, uai, CATALOGUE.version, reports), periods
