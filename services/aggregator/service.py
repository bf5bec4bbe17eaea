"""Merging: a flush is judged, then merged, folded and written under its establishments' locks, one transaction for each thousand."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import asyncpg
import numpy as np
import structlog
from opentelemetry.trace import Link

from chassis.clock import Clock
from contracts.catalogue import CATALOGUE, GRAINS
from contracts.counters_updated import CountersUpdated
from services.aggregator import metrics, parking_store, store
from services.aggregator.admission import Arrivals, DeadLetter, Docket, Parked
from services.aggregator.cells import Ints
from services.aggregator.errors import StoreUnavailableError
from services.aggregator.flush import census_years, flush
from services.aggregator.parking import park
from services.aggregator.periods import HOUR, Periods
from services.aggregator.registry import Directory, RegistryClient
from services.aggregator.reports import Bools
from services.aggregator.sheet import sheet_grain
from services.aggregator.tracing import links, tracer
from services.aggregator.vouching import Record, proofs

ESTABLISHMENTS_AT_ONCE = 1000
"""Locks of one transaction: PostgreSQL has room for a few thousand over all sessions (max_locks_per_transaction)."""
JUDGED_AT_ONCE = 64
"""Messages a thread proves at a time, then judged in one go: some milliseconds, after which the flush before takes its next step."""
UNPARKED_AT_ONCE = 50
"""Establishments whose parked reports are read at once: 35 days of an hourly family are some thousand reports of each."""
RETRY_DELAYS_S: tuple[float, ...] = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0)
"""A restart of PostgreSQL takes a few seconds; past this, stopping says more than waiting."""
TRANSIENT = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)

_BESIDE_GRANTS = (metrics.PARKED, "outside_grants")
_ELSEWHERE = frozenset({metrics.PARKED, metrics.DEAD_LETTERED})
"""Outcomes that a parked report had when it came; dropped later, it is counted as refused."""
_NAMES = {family.number: family.name for family in CATALOGUE.families.values()}

log = structlog.get_logger()
T = TypeVar("T")


@dataclass
class Flushed:
    """What a flush leaves to do once it is committed."""

    dead: list[DeadLetter] = field(default_factory=list)
    changed: dict[str, tuple[set[int], set[int]]] = field(default_factory=dict)
    """By UAI: numbers of the families and grains that changed."""

    def note(self, changed: Iterable[tuple[str, int, int]]) -> None:
        """Take down UAIs, families and grains that changed."""
        for uai, family, grain in changed:
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


class Judged(NamedTuple):
    """A flush before it is written: what to merge, to park and to set aside, and what to count."""

    arrivals: Arrivals
    parked: list[Parked]
    dead: list[DeadLetter]
    outcomes: Counter[tuple[str, str, str]]
    origins: Sequence[Link] = ()
    """Traces that the messages carry."""


class Reports:
    """Merges messages into reports and sheets."""

    def __init__(self, pool: asyncpg.Pool, registry: RegistryClient, clock: Clock) -> None:
        self._pool = pool
        self._registry = registry
        self._clock = clock
        self._numbered = Directory()
        self._looked_through: Directory | None = None
        self._numbers: dict[str, int] = {}
        self._provers = ThreadPoolExecutor(os.cpu_count() or 1, "prover")

    async def flush(self, records: Sequence[Record]) -> Flushed:
        """Judge, merge and commit; StoreUnavailableError when PostgreSQL stays away. Repeating it changes nothing but counters."""
        return await self.write(await self.judge(records))

    async def judge(self, records: Sequence[Record]) -> Judged:
        """What becomes of each message; nothing is kept yet."""
        origins = links(records)
        with tracer.start_as_current_span(metrics.JUDGE, links=origins):
            judged, unknown = await self._judge_once(records)
            if unknown and await self._registry.refresh_for_unknown():
                judged, _ = await self._judge_once(records)
        return judged._replace(origins=origins)

    async def _judge_once(self, records: Sequence[Record]) -> tuple[Judged, bool]:
        """Signatures on all cores, the rest here as they are known, letting what else this process does go on in between."""
        docket = Docket(*await self._known(), self._clock.now())
        parts = [records[first : first + JUDGED_AT_ONCE] for first in range(0, len(records), JUDGED_AT_ONCE)]
        if len(parts) == 1:
            docket.hear(records, proofs(docket.directory, records))
        else:
            loop = asyncio.get_running_loop()
            proved = [loop.run_in_executor(self._provers, proofs, docket.directory, part) for part in parts]
            for part, of_part in zip(parts, proved, strict=True):
                docket.hear(part, await of_part)
                await asyncio.sleep(0)
        return Judged(docket.arrivals(), docket.parked, docket.dead, docket.outcomes), docket.unknown

    async def write(self, judged: Judged) -> Flushed:
        """Merge and commit what was judged."""
        _alarm(judged.outcomes)
        flushed = Flushed(dead=judged.dead)
        chunks = _chunks(judged.arrivals, judged.parked)
        with tracer.start_as_current_span(metrics.FLUSH, links=judged.origins):
            for number, (arrivals, parked) in enumerate(chunks):
                outcomes = judged.outcomes if number == len(chunks) - 1 else Counter()
                await with_retries(lambda a=arrivals, p=parked, o=outcomes: self._merge(a, p, o, flushed))  # type: ignore[misc]
        return flushed

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
        self, arrivals: Arrivals, parked: Sequence[Parked], outcomes: Counter[tuple[str, str, str]], flushed: Flushed
    ) -> None:
        async with self._pool.acquire() as connection, _transaction(connection):
            uais = {period.uai for period in arrivals.periods} | {report.key.uai for report in parked}
            await store.lock(connection, uais)
            counts = outcomes + await self._write(connection, arrivals, flushed)
            counts.update(await park(connection, parked))
            await store.count_outcomes(connection, counts)

    async def _write(
        self, connection: asyncpg.Connection, arrivals: Arrivals, flushed: Flushed
    ) -> Counter[tuple[str, str, str]]:
        """Merge and fold under the locks already taken; what happened besides."""
        if not arrivals.reports.n:
            return Counter()
        periods = Periods()
        arrived = arrivals.reports.moved(periods.add(arrivals.periods))
        with tracer.start_as_current_span(metrics.READ):
            if years := census_years(periods, arrived):
                periods.add(await store.census_days(connection, years))
            stored = await store.read(connection, periods.known)
        with tracer.start_as_current_span(metrics.MERGE):
            found = flush(periods, arrived, stored)
        with tracer.start_as_current_span(metrics.WRITE):
            await store.write_bundles(connection, found.bundles)
            await store.write_sheets(connection, found.sheets)
            await store.note_restatements(connection, found.restated)
        flushed.note(found.changed)
        lower = self._counted(found.lower, metrics.LOWER_RESTATEMENT, "")
        return lower + self._counted(found.frozen, metrics.REFUSED, "frozen")

    def _counted(self, agents: Ints, outcome: str, cause: str) -> Counter[tuple[str, str, str]]:
        names = {number: agent for agent, number in self._numbers.items()} if agents.size else {}
        return Counter((names[agent], outcome, cause) for agent in agents.tolist())

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
            uais = await parking_store.parked_uais(connection, CATALOGUE.version)
        for first in range(0, len(uais), UNPARKED_AT_ONCE):
            chunk = uais[first : first + UNPARKED_AT_ONCE]
            await with_retries(lambda chunk=chunk: self._unpark(chunk, flushed))  # type: ignore[misc]
        self._looked_through = directory
        return flushed

    async def _unpark(self, uais: Sequence[str], flushed: Flushed) -> None:
        docket = Docket(*await self._known(), self._clock.now())
        async with self._pool.acquire() as connection, connection.transaction():
            await store.lock(connection, uais)
            parked = await parking_store.parked_of(connection, uais, CATALOGUE.version)
            arrivals = docket.reconsider(parked)
            waiting = {report.key for report in docket.parked}
            gone = [report.key for report in parked if report.key not in waiting]
            if not gone:
                return
            counts = await self._write(connection, arrivals, flushed)
            await parking_store.delete_parked(connection, gone)
            counts += Counter({key: n for key, n in docket.outcomes.items() if key[1] not in _ELSEWHERE})
            counts += Counter((letter.agent, metrics.REFUSED, letter.code) for letter in docket.dead)
            await store.count_outcomes(connection, counts)
            log.info("Parked reports let in", reports=arrivals.reports.n, dropped=len(gone) - arrivals.reports.n)


@asynccontextmanager
async def _transaction(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """A transaction whose commit has its own span."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    except BaseException:
        await transaction.rollback()
        raise
    with tracer.start_as_current_span(metrics.COMMIT):
        await transaction.commit()


def _alarm(outcomes: Counter[tuple[str, str, str]]) -> None:
    beside = {agent: n for (agent, outcome, cause), n in outcomes.items() if (outcome, cause) == _BESIDE_GRANTS}
    if beside:
        log.warning(
            "Reports beside their agents' grants wait: add the grants or correct the agents; a stolen key looks like this too",
            reports=beside,
        )


def _chunks(arrivals: Arrivals, parked: Sequence[Parked]) -> list[tuple[Arrivals, list[Parked]]]:
    """Cut a flush by establishments, so that no transaction takes more locks than PostgreSQL has; one chunk at least."""
    uais = dict.fromkeys([*(period.uai for period in arrivals.periods), *(report.key.uai for report in parked)])
    chunk_of = {uai: place // ESTABLISHMENTS_AT_ONCE for place, uai in enumerate(uais)}
    n = max(1, -(-len(uais) // ESTABLISHMENTS_AT_ONCE))
    if n == 1:
        return [(arrivals, list(parked))]
    of_report = np.array([chunk_of[period.uai] for period in arrivals.periods], np.int64)[arrivals.reports.periods]
    return [
        (
            _only(arrivals, of_report == number),
            [report for report in parked if chunk_of[report.key.uai] == number],
        )
        for number in range(n)
    ]


def _only(arrivals: Arrivals, mask: Bools) -> Arrivals:
    """The reports under `mask` and their periods."""
    reports = arrivals.reports.where(mask)
    numbers, places = np.unique(reports.periods, return_inverse=True)
    return Arrivals([arrivals.periods[number] for number in numbers.tolist()], reports._replace(periods=places))


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
