"""Merging: one flush is judged, then merged, folded and written under its establishments' locks, one transaction for each thousand."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg
import structlog

from chassis.clock import Clock
from contracts.catalogue import CATALOGUE, GRAINS
from contracts.counters_updated import CountersUpdated
from services.aggregator import metrics, store
from services.aggregator.admission import HOUR, DeadLetter, Docket, Parked, Record
from services.aggregator.errors import StoreUnavailableError
from services.aggregator.merge import Key, State, merge
from services.aggregator.registry import Directory, RegistryClient
from services.aggregator.sheet import censuses, fold, needed, own_sheet, period_of, sheet_grain, touched

ESTABLISHMENTS_AT_ONCE = 1000
"""Locks of one transaction: PostgreSQL has room for a few thousand over all sessions (max_locks_per_transaction)."""
UNPARKED_AT_ONCE = 50
"""Establishments whose parked reports are read at once: 35 days of an hourly family are some thousand reports of each."""
RETRY_DELAYS_S: tuple[float, ...] = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0)
"""A restart of PostgreSQL takes a few seconds; past this, stopping says more than waiting."""
TRANSIENT = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)

_BESIDE_GRANTS = (metrics.PARKED, "outside_grants")
_NAMES = {family.number: family.name for family in CATALOGUE.families.values()}

log = structlog.get_logger()
T = TypeVar("T")


@dataclass
class Flushed:
    """What a flush leaves to do once it is committed."""

    dead: list[DeadLetter] = field(default_factory=list)
    changed: dict[str, tuple[set[int], set[int]]] = field(default_factory=dict)
    """By UAI: numbers of the families and grains that changed."""

    def note(self, keys: Iterable[Key]) -> None:
        for uai, family, grain in {(key.uai, key.family, key.grain) for key in keys}:
            families, grains = self.changed.setdefault(uai, (set(), set()))
            families.add(family)
            grains.update((HOUR,) if grain == HOUR else range(sheet_grain(family, grain), len(GRAINS)))

    def events(self) -> Iterator[CountersUpdated]:
        """One event an establishment."""
        for uai, (families, grains) in self.changed.items():
            yield CountersUpdated(
                uai,
                tuple(sorted(_NAMES[number] for number in families)),
                tuple(GRAINS[grain] for grain in sorted(grains)),
            )


class Reports:
    """Merges messages into reports and sheets."""

    def __init__(self, pool: asyncpg.Pool, registry: RegistryClient, clock: Clock) -> None:
        self._pool = pool
        self._registry = registry
        self._clock = clock
        self._numbered = Directory()
        self._looked_through: Directory | None = None
        self._numbers: dict[str, int] = {}

    async def flush(self, records: Sequence[Record]) -> Flushed:
        """Judge, merge and commit; StoreUnavailableError when PostgreSQL stays away. Repeating it changes nothing but counters."""
        docket, arrivals = await self._judge(records)
        _alarm(docket.outcomes)
        flushed = Flushed(dead=docket.dead)
        chunks = _chunks(arrivals, docket.parked) or [([], [])]
        for number, (reports, parked) in enumerate(chunks):
            outcomes = docket.outcomes if number == len(chunks) - 1 else Counter()
            await with_retries(lambda r=reports, p=parked, o=outcomes: self._merge(r, p, o, flushed))  # type: ignore[misc]
        return flushed

    async def _judge(self, records: Sequence[Record]) -> tuple[Docket, list[tuple[Key, State]]]:
        docket, arrivals = await self._judge_once(records)
        if docket.unknown and await self._registry.refresh_for_unknown():
            docket, arrivals = await self._judge_once(records)
        return docket, arrivals

    async def _judge_once(self, records: Sequence[Record]) -> tuple[Docket, list[tuple[Key, State]]]:
        docket = Docket(*await self._known(), self._clock.now())
        return docket, docket.judge(records)

    async def _known(self) -> tuple[Directory, dict[str, int]]:
        """The registry as it stands, all its agents numbered."""
        directory = self._registry.directory
        if directory is not self._numbered:
            self._numbers = {**self._numbers, **await with_retries(lambda: self._number(list(directory.keys)))}
            self._numbered = directory
        return directory, self._numbers

    async def _number(self, agents: Sequence[str]) -> dict[str, int]:
        async with self._pool.acquire() as connection:
            return await store.agent_numbers(connection, agents)

    async def _merge(
        self,
        arrivals: Sequence[tuple[Key, State]],
        parked: Sequence[Parked],
        outcomes: Counter[tuple[str, str, str]],
        flushed: Flushed,
    ) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            uais = {key.uai for key, _ in arrivals} | {report.key.uai for report in parked}
            await store.lock(connection, uais)
            counts = outcomes + await self._write(connection, arrivals, flushed)
            counts += await _park(connection, parked)
            await store.count_outcomes(connection, counts)

    async def _write(
        self, connection: asyncpg.Connection, arrivals: Sequence[tuple[Key, State]], flushed: Flushed
    ) -> Counter[tuple[str, str, str]]:
        """Merge and fold under the locks already taken; what happened besides."""
        hours = [arrival for arrival in arrivals if arrival[0].grain == HOUR]
        others = [arrival for arrival in arrivals if arrival[0].grain != HOUR]
        counts = await self._write_hours(connection, hours, flushed)
        return counts + await self._write_sheets(connection, others, flushed)

    async def _write_hours(
        self, connection: asyncpg.Connection, arrivals: Sequence[tuple[Key, State]], flushed: Flushed
    ) -> Counter[tuple[str, str, str]]:
        known = await store.read_hours(connection, list({period_of(key) for key, _ in arrivals}))
        merged = merge(known, arrivals)
        await store.write_hours(connection, merged.states)
        return self._noted(merged.states, merged.lower, flushed)

    async def _write_sheets(
        self, connection: asyncpg.Connection, arrivals: Sequence[tuple[Key, State]], flushed: Flushed
    ) -> Counter[tuple[str, str, str]]:
        periods = {period_of(key) for key, _ in arrivals}
        sheets = await store.read_sheets(connection, list(touched(periods)))
        thawed = [arrival for arrival in arrivals if not _is_frozen(arrival[0], sheets)]
        known = await store.read_reports(connection, list(needed(periods)))
        known |= await store.read_censuses(connection, list(censuses(periods)))
        merged = merge(known, thawed)
        known |= merged.states
        folded = fold({period_of(key) for key in merged.states}, known, sheets)
        await store.write_reports(connection, merged.states)
        await store.write_sheets(connection, folded)
        counts = self._noted(merged.states, merged.lower, flushed)
        if len(thawed) < len(arrivals):
            frozen = [key for key, _ in arrivals if _is_frozen(key, sheets)]
            counts += self._counted(frozen, metrics.REFUSED, "frozen")
        return counts

    def _noted(self, states: dict[Key, State], lower: Sequence[Key], flushed: Flushed) -> Counter[tuple[str, str, str]]:
        flushed.note(states)
        return self._counted(lower, metrics.LOWER_RESTATEMENT, "")

    def _counted(self, keys: Sequence[Key], outcome: str, cause: str) -> Counter[tuple[str, str, str]]:
        agents = {number: agent for agent, number in self._numbers.items()} if keys else {}
        return Counter((agents[key.agent], outcome, cause) for key in keys)

    async def refresh(self) -> bool:
        """Ask identity for news; whether parked reports were last looked through under another registry than the one that stands.

        Not whether this question brought the news: a flush that met something unknown may have asked first.
        """
        await self._registry.refresh()
        return self._registry.directory is not self._looked_through

    async def unpark(self) -> Flushed:
        """Merge the parked reports that a grant, a convention or an upgrade has let in."""
        flushed, directory = Flushed(), self._registry.directory
        async with self._pool.acquire() as connection:
            uais = await store.parked_uais(connection, CATALOGUE.version)
        for first in range(0, len(uais), UNPARKED_AT_ONCE):
            chunk = uais[first : first + UNPARKED_AT_ONCE]
            await with_retries(lambda chunk=chunk: self._unpark(chunk, flushed))  # type: ignore[misc]
        self._looked_through = directory
        return flushed

    async def _unpark(self, uais: Sequence[str], flushed: Flushed) -> None:
        docket = Docket(*await self._known(), self._clock.now())
        async with self._pool.acquire() as connection, connection.transaction():
            await store.lock(connection, uais)
            parked = await store.parked_of(connection, uais, CATALOGUE.version)
            arrivals = docket.reconsider(parked)
            waiting = {report.key for report in docket.parked}
            gone = [report.key for report in parked if report.key not in waiting]
            if not gone:
                return
            counts = await self._write(connection, arrivals, flushed)
            await store.delete_parked(connection, gone)
            counts += Counter({key: n for key, n in docket.outcomes.items() if key[1] != metrics.PARKED})
            counts += Counter((letter.agent, metrics.REFUSED, letter.code) for letter in docket.dead)
            await store.count_outcomes(connection, counts)
            log.info("Parked reports let in", reports=len(arrivals), dropped=len(gone) - len(arrivals))


def _is_frozen(key: Key, sheets: dict[Any, Any]) -> bool:
    sheet = sheets.get(own_sheet(period_of(key)))
    return sheet is not None and sheet.frozen


def _alarm(outcomes: Counter[tuple[str, str, str]]) -> None:
    beside = {agent: n for (agent, outcome, cause), n in outcomes.items() if (outcome, cause) == _BESIDE_GRANTS}
    if beside:
        log.warning(
            "Reports beside their agents' grants wait: add the grants or correct the agents; a stolen key looks like this too",
            reports=beside,
        )


async def _park(connection: asyncpg.Connection, parked: Sequence[Parked]) -> Counter[tuple[str, str, str]]:
    """Merge parked reports with those that wait already."""
    if not parked:
        return Counter()
    newest = {report.key: report for report in sorted(parked, key=lambda report: report.catalogue)}
    known = await store.read_parked(connection, list(newest))
    merged = merge(known, [(report.key, report.state) for report in parked])
    await store.write_parked(connection, [newest[key]._replace(state=state) for key, state in merged.states.items()])
    return Counter((key.agent, metrics.LOWER_RESTATEMENT, "") for key in merged.lower)


def _chunks(
    arrivals: Sequence[tuple[Key, State]], parked: Sequence[Parked]
) -> list[tuple[list[tuple[Key, State]], list[Parked]]]:
    """Cut a flush by establishments, so that no transaction takes more locks than PostgreSQL has."""
    uais = dict.fromkeys([*(key.uai for key, _ in arrivals), *(report.key.uai for report in parked)])
    chunk_of = {uai: place // ESTABLISHMENTS_AT_ONCE for place, uai in enumerate(uais)}
    chunks: list[tuple[list[tuple[Key, State]], list[Parked]]] = [
        ([], []) for _ in range(-(-len(uais) // ESTABLISHMENTS_AT_ONCE))
    ]
    for arrival in arrivals:
        chunks[chunk_of[arrival[0].uai]][0].append(arrival)
    for report in parked:
        chunks[chunk_of[report.key.uai]][1].append(report)
    return chunks


async def with_retries(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work`, again after each transient error with growing delays; StoreUnavailableError in the end."""
    for delay in RETRY_DELAYS_S:
        try:
            return await work()
        except TRANSIENT as error:
            log.warning("PostgreSQL did not take this; trying again", cause=repr(error), delay_s=delay)
            await asyncio.sleep(delay)
    try:
        return await work()
    except TRANSIENT as error:
        raise StoreUnavailableError(f"PostgreSQL cannot be used: {error!r}") from error
