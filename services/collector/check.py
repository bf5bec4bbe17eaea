"""`agent check` and `agent status`: what would be counted, and where an agent stands. Nothing is published or stored."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

from contracts.catalogue import CATALOGUE
from services.collector.access_log import Reason
from services.collector.agent import TURN_BYTES
from services.collector.census.source import refused_files, summary
from services.collector.errors import StateUnavailableError
from services.collector.journal import REASONS
from services.collector.service import EstablishmentService
from services.collector.sources import ACCESS_LOG, JOURNAL, families_of
from services.collector.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.collector.config import AgentSettings, EstablishmentSettings
    from services.collector.store import SourceState

_NOTHING = {"to_publish": 0, "held": 0, "acknowledged": None}
_LOG_REASONS = get_args(Reason)
_ALL_REASONS = tuple(dict.fromkeys((*REASONS, *_LOG_REASONS, "connection_of_the_other_source", "outside_grant")))


def check(settings: AgentSettings) -> dict[str, Any]:
    """Read every source to its end, in memory only: counts per establishment and family, and lines set aside by reason."""
    found = [_check_one(settings, establishment) for establishment in settings.establishments]
    set_aside: Counter[str] = Counter()
    for each in found:
        set_aside.update(each["set_aside"])
    return {
        "ok": not settings.refused and not any(each["problems"] for each in found),
        "establishments": found,
        "set_aside": {reason: set_aside[reason] for reason in _ALL_REASONS},
        "errors": [
            {"code": error.code, "file": error.file, "field": error.field, "detail": error.detail}
            for error in settings.refused
        ],
    }


def _check_one(settings: AgentSettings, establishment: EstablishmentSettings) -> dict[str, Any]:
    store = Store(":memory:")
    try:
        service = EstablishmentService(establishment, store, settings.clock, tidy=False)
        while service.turn(settings.clock.now(), budget=TURN_BYTES, to_the_end=True):
            pass
        found = [store.source(service.number, source.name) for source in service.sources]
        instants = [each for state in found for each in (state.earliest, state.newest) if state.earliest and each]
        records = store.censuses.records(service.number).values()
        return {
            "uai": establishment.uai,
            "families": families_of(establishment.sources),
            "lines": sum(source.lines for source in service.sources),
            "first": _told(min(instants, default=None), establishment),
            "last": _told(max(instants, default=None), establishment),
            "counts": _totals(store, service.number),
            "census": summary(records),
            "set_aside": {reason: sum(each.set_aside[reason] for each in service.sources) for reason in _ALL_REASONS},
            "problems": [*service.problems, *refused_files(records)],
        }
    finally:
        store.close()


def _told(instant: float | None, establishment: EstablishmentSettings) -> str | None:
    return None if instant is None else datetime.fromtimestamp(instant, establishment.zone).isoformat()


def _totals(store: Store, number: int) -> dict[str, int]:
    """What each family counts, once: days and the months of small profiles; people in their school years."""
    totals: Counter[str] = Counter()
    for period in store.periods(number):
        family = CATALOGUE.families[period.family]
        wanted = "school_year" if family.kind == "people" else "hour"
        if family.kind == "level":
            continue  # told file by file
        if (period.grain == wanted) == (family.kind == "people") and period.family != "diagnostics":
            totals[period.family] += _counted(store.cells_of(number, period), people=family.kind == "people")
    return dict(totals)


def _counted(cells: dict[int, int], *, people: bool) -> int:
    """Scopes overlap: of people only those seen by any channel are added (`.Net` where there is no other)."""
    if not people:
        return sum(cells.values())
    widest: dict[str, int] = {}
    for code, count in cells.items():
        cell = CATALOGUE.cells[code]
        widest[cell.profile] = max(widest.get(cell.profile, 0), count)
    return sum(widest.values())


def status(settings: AgentSettings) -> dict[str, Any]:
    """Where the agent stands: positions, what is still to publish, until when sources were observed, Kafka's last word."""
    try:
        with closing(Store(settings.state, read_only=True)) as store:
            return {
                "agent": settings.agent,
                "state": str(settings.state),
                "establishments": [_status_of(store, establishment) for establishment in settings.establishments],
            }
    except sqlite3.DatabaseError as error:
        raise StateUnavailableError(f"{settings.state} cannot be read ({error}): has this agent run yet?") from error


def _status_of(store: Store, establishment: EstablishmentSettings) -> dict[str, Any]:
    number = store.find_establishment(establishment.uai)
    if number is None:
        return {
            "uai": establishment.uai,
            "sources": {},
            "files": [],
            "census": summary(()),
            **_NOTHING,
            "problems": {},
            "set_aside": {},
        }
    positions = store.positions(number)
    return {
        "uai": establishment.uai,
        "sources": {
            name: {
                "first": _utc(source.earliest),
                "last": _utc(source.newest),
                "observed_until": _utc(source.stood),
                "bytes": sum(position for of, _, position in positions if of == name),
            }
            for name, source in _followed(store, number, establishment)
        },
        "census": summary(store.censuses.records(number).values()),
        "files": [{"source": name, "file": file, "position": position} for name, file, position in positions],
        "to_publish": len(store.due(number)),
        "held": sum(period.held for period in store.periods(number)),
        "acknowledged": _utc(store.acknowledged(number)),
        "problems": store.problems.of(number),
        "set_aside": _set_aside(store, number),
    }


def _followed(store: Store, number: int, establishment: EstablishmentSettings) -> Iterator[tuple[str, SourceState]]:
    sources = establishment.sources
    for name, paths in ((JOURNAL, sources.journal_paths), (ACCESS_LOG, sources.access_log_paths)):
        if paths:
            yield name, store.source(number, name)


def _set_aside(store: Store, number: int) -> dict[str, int]:
    """Lines set aside since the state began, by reason: what the agent's diagnostics report day by day."""
    found: Counter[str] = Counter()
    for period in store.periods(number, "diagnostics"):
        if period.grain == "day":
            for code, count in store.cells_of(number, period).items():
                found[CATALOGUE.cells[code].measure] += count
    return dict(sorted(found.items()))


def _utc(instant: float | None) -> str | None:
    return None if instant is None else datetime.fromtimestamp(instant, UTC).isoformat(timespec="seconds")
