"""Parked reports: merged with those that wait already, up to a limit for each agent that speaks of a newer catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import asyncpg

from services.aggregator import metrics, parking_store
from services.aggregator.admission import Parked, ParkedKey
from services.aggregator.states import State, merge

NEWER_LIMIT = 20_000
"""Reports of a newer catalogue that wait per agent: forty establishments for a month. Their families and cells cannot be checked
yet, so that one agent could fill the disk with them; past this its new ones are refused, and come again on request."""

Outcomes = Counter[tuple[str, str, str]]


async def park(connection: asyncpg.Connection, parked: Sequence[Parked]) -> Outcomes:
    """Keep them under the locks already taken; what to add to the counters, or (negative) to take off."""
    if not parked:
        return Counter()
    newest = {report.key: report for report in sorted(parked, key=lambda report: report.catalogue)}
    known = await parking_store.read_parked(connection, list(newest))
    full = _beyond(newest, known, await _waiting(connection, newest, known))
    merged = merge(known, [(report.key, report.state) for report in parked if report.key not in full])
    await parking_store.write_parked(
        connection, [newest[key]._replace(state=state) for key, state in merged.states.items()]
    )
    outcomes = Counter((key.agent, metrics.LOWER_RESTATEMENT, "") for key in merged.lower)
    for key in (report.key for report in parked if report.key in full):
        outcomes[key.agent, metrics.PARKED, newest[key].cause] -= 1
        outcomes[key.agent, metrics.REFUSED, "parked_full"] += 1
    return outcomes


async def _waiting(
    connection: asyncpg.Connection, newest: Mapping[ParkedKey, Parked], known: Mapping[ParkedKey, State]
) -> dict[str, int]:
    """How many of a newer catalogue wait already, of the agents that bring new ones."""
    agents = {key.agent for key, report in newest.items() if key not in known and report.cause == "newer_catalogue"}
    return await parking_store.count_newer(connection, sorted(agents), NEWER_LIMIT)


def _beyond(
    newest: Mapping[ParkedKey, Parked], known: Mapping[ParkedKey, State], waiting: dict[str, int]
) -> set[ParkedKey]:
    """Those for which there is no room, in the order in which they came."""
    full: set[ParkedKey] = set()
    for key, report in newest.items():
        if key in known or report.cause != "newer_catalogue":
            continue
        waiting[key.agent] = waiting.get(key.agent, 0) + 1
        if waiting[key.agent] > NEWER_LIMIT:
            full.add(key)
    return full
