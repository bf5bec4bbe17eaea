"""`agent status`: who the agent is, what the platform last said, where each source stands, what waits and what is in the way."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from contracts.catalogue import CATALOGUE
from services.collector import files
from services.collector.census.source import summary
from services.collector.errors import StateUnavailableError, UnreadableSourceError
from services.collector.orders import orders
from services.collector.sources import ACCESS_LOG, JOURNAL
from services.collector.store import Store
from services.collector.version import agent_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from services.collector.config import AgentSettings, EstablishmentSettings
    from services.collector.knowledge import Knowledge
    from services.collector.orders import Orders

_NOTHING: dict[str, Any] = {"sources": {}, "files": [], "to_publish": 0, "held": 0, "acknowledged": None}


def status(settings: AgentSettings) -> dict[str, Any]:
    """Where the agent stands, read from its state while it may be running; nobody is asked."""
    try:
        with closing(Store(settings.state, read_only=True)) as store:
            known = store.memory.knowledge()
            ordered = orders(settings, known, agent_version())
            return {
                "agent": settings.agent,
                "version": agent_version(),
                "state": str(settings.state),
                "state_name": store.memory.stored_name(),
                "outlet": settings.publishes_by,
                "platform": _platform(settings, known, ordered),
                "establishments": [_establishment(store, settings, known, each) for each in settings.establishments],
            }
    except sqlite3.DatabaseError as error:
        raise StateUnavailableError(f"{settings.state} cannot be read ({error}): has this agent run yet?") from error


def wants_attention(found: dict[str, Any]) -> bool:
    """Whether an operator should look: a hello that fails, a remark of the platform's, a problem of a source or of a publication."""
    platform = found["platform"]
    said = platform["failure"] or platform["remarks"] or platform["too_old"] or platform["waiting_for_first_hello"]
    return bool(said) or any(each["problems"] for each in found["establishments"])


def _platform(settings: AgentSettings, known: Knowledge, ordered: Orders) -> dict[str, Any]:
    answer = known.answer
    return {
        "url": settings.gateway.url,
        "last_hello": _utc(known.heard_at),
        "failure": known.failure,
        "failing_since": _utc(known.failed_since),
        "clock_ahead_seconds": known.ahead,
        "minimum_version": answer.minimum_version if answer else "",
        "too_old": bool(ordered.too_old),
        "cadence_seconds": ordered.cadence_seconds,
        "waiting_for_first_hello": ordered.waiting,
        "key_until": answer.key_until.isoformat() if answer and answer.key_until else None,
        "copies": bool(answer and answer.copies),
        "remarks": list(ordered.remarks),
    }


def _establishment(
    store: Store, settings: AgentSettings, known: Knowledge, establishment: EstablishmentSettings
) -> dict[str, Any]:
    found: dict[str, Any] = {"uai": establishment.uai, "grants": list(_grants(settings, known, establishment.uai))}
    number = store.find_establishment(establishment.uai)
    if number is None:
        return {**found, **_NOTHING, "census": summary(()), "problems": {}, "set_aside": {}}
    positions = store.positions(number)
    return {
        **found,
        "sources": {
            name: _source(store, number, establishment, name, paths) for name, paths in _followed(establishment)
        },
        "census": summary(store.censuses.records(number).values()),
        "files": [{"source": name, "file": file, "position": position} for name, file, position in positions],
        "to_publish": len(store.due(number)),
        "held": sum(period.held for period in store.periods(number)),
        "acknowledged": _utc(store.acknowledged(number)),
        "problems": store.problems.of(number),
        "set_aside": _set_aside(store, number),
    }


def _grants(settings: AgentSettings, known: Knowledge, uai: str) -> Iterator[dict[str, str | None]]:
    for grant in known.answer.grants if known.answer else ():
        if (grant.agent, grant.uai) == (settings.agent, uai):
            yield {
                "family": grant.family,
                "from": grant.from_day.isoformat() if grant.from_day else None,
                "to": grant.to_day.isoformat() if grant.to_day else None,
            }


def _followed(establishment: EstablishmentSettings) -> Iterator[tuple[str, tuple[str, ...]]]:
    sources = establishment.sources
    for name, paths in ((JOURNAL, sources.journal_paths), (ACCESS_LOG, sources.access_log_paths)):
        if paths:
            yield name, paths


def _source(
    store: Store, number: int, establishment: EstablishmentSettings, name: str, paths: Sequence[str]
) -> dict[str, Any]:
    source = store.source(number, name)
    return {
        "first": _utc(source.earliest),
        "last": _utc(source.newest),
        "observed_until": _utc(source.stood),
        "bytes": sum(position for of, _, position in store.positions(number) if of == name),
        "unread_bytes": _unread(store, number, establishment, name, paths),
    }


def _unread(store: Store, number: int, establishment: EstablishmentSettings, name: str, paths: Sequence[str]) -> int:
    """Bytes of plain files that were not read yet; what an archive holds is not known before it is read."""
    known = store.heads(number, name)
    unread = 0
    for path in files.find(establishment.folder, paths)[0]:
        try:
            if path.is_file() and not _is_archive(path):
                file = files.recognise(files.head_of(path), known)
                unread += max(0, path.stat().st_size - (0 if file is None else store.position(file)))
        except (OSError, UnreadableSourceError):
            continue  # among the problems already
    return unread


def _is_archive(path: object) -> bool:
    return str(path).endswith(".gz")


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
