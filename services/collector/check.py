"""`agent check`: what would be counted, what is set aside, and what is wrong, before anything is sent or stored."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args

from contracts.catalogue import CATALOGUE
from services.collector.access_log import Reason
from services.collector.agent import TURN_BYTES
from services.collector.census.source import refused_files, summary
from services.collector.journal import REASONS
from services.collector.service import EstablishmentService
from services.collector.site import conflicts, formats_of, look_at_site, shared_journals
from services.collector.sources import families_of
from services.collector.store import Store
from services.collector.version import agent_version
from services.collector.wiring import looking_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.registry import Grant
    from services.collector.config import AgentSettings, EstablishmentSettings

_LOG_REASONS = get_args(Reason)
_ALL_REASONS = tuple(dict.fromkeys((*REASONS, *_LOG_REASONS, "connection_of_the_other_source", "outside_grant")))


async def check(settings: AgentSettings) -> dict[str, Any]:
    """Read every source to its end, in memory only: counts per establishment and family, and lines set aside by reason."""
    site = await look_at_site(settings)
    with looking_at(settings) as (ordered, state):
        answer = state.memory.knowledge().answer if state else None
    grants = answer.grants if answer else []
    found = [_check_one(ordered, each, grants) for each in ordered.establishments]
    for uai, shared in shared_journals(ordered.establishments).items():
        next(each for each in found if each["uai"] == uai)["warnings"].extend(shared)
    set_aside: Counter[str] = Counter()
    for each in found:
        set_aside.update(each["set_aside"])
    return {
        "ok": not settings.refused
        and all(each.ok for each in site)
        and not any(each["problems"] or each["warnings"] for each in found),
        "agent": settings.agent,
        "version": agent_version(),
        "site": [{"what": each.what, "ok": each.ok, "detail": each.detail} for each in site],
        "establishments": found,
        "left_out": sorted(
            {each.uai for each in settings.establishments} - {each.uai for each in ordered.establishments}
        ),
        "set_aside": {reason: set_aside[reason] for reason in _ALL_REASONS},
        "errors": [
            {"code": error.code, "file": error.file, "field": error.field, "detail": error.detail}
            for error in settings.refused
        ],
    }


def _check_one(
    settings: AgentSettings, establishment: EstablishmentSettings, grants: Sequence[Grant] = ()
) -> dict[str, Any]:
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
            "files": list(formats_of(establishment)),
            "set_aside": {reason: sum(each.set_aside[reason] for each in service.sources) for reason in _ALL_REASONS},
            "problems": [*service.problems, *refused_files(records)],
            "warnings": [
                *_without_host(service),
                *(conflicts(establishment, settings.agent, list(grants)) if grants else ()),
            ],
        }
    finally:
        store.close()


def _without_host(service: EstablishmentService) -> list[str]:
    """An access log that was read and says nothing of this establishment: its hosts are not those of the log."""
    log, establishment = service.access_log, service.settings
    if not log.lines or service.store.source(service.number, log.name).earliest is not None:
        return []
    hosts = ", ".join(
        (f"{establishment.uai.lower()}.index-education.net", *establishment.sources.hosts_of(establishment.uai))
    )
    return [f"no request of the access log is for this establishment ({hosts}): name its hosts in agent.toml"]


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
