"""The agent's loop: each establishment has its slot in the cadence, in which it is read and published."""

from __future__ import annotations

import asyncio
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from heapq import heapreplace
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from services.collector.errors import CollectorError, NotDeliveredError, StateUnavailableError
from services.collector.service import EstablishmentService

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from chassis.clock import Clock
    from contracts.usage_reported import UsageReported
    from services.collector.config import AgentSettings, EstablishmentSettings
    from services.collector.store import DuePeriod, Store

TURN_BYTES = 8 * 1024 * 1024
"""Read of one establishment before the others have their turn, and before a signal is heard: about half a second."""
GRACE = 5.0
"""Seconds that what is in hand has to finish once the agent is to stop; then it is left as it was committed."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds to wait before trying again after a failure; doubled each time."""
PATIENCE_UNTIL_IDLE = 120.0
"""Seconds during which `--until-idle` goes on trying to reach Kafka or to write its state."""

MOST_TOLD = 20
"""Problems of one kind named in the log; `agent status` lists them all."""

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


def slot(uai: str, cadence: float) -> float:
    """Place of an establishment in the cadence, in seconds: by hash, so that agents do not all report at the top of it."""
    return zlib.crc32(uai.encode()) / 2**32 * cadence


def next_slot(uai: str, cadence: float, now: float) -> float:
    """The first instant after `now` at which an establishment reports: it depends on no event."""
    offset = slot(uai, cadence)
    return (now - offset) // cadence * cadence + cadence + offset


class Outlet(Protocol):
    """Where messages go: Kafka, or whatever stands in its place."""

    async def publish(self, message: UsageReported) -> None:
        """Deliver one message; `NotDeliveredError` when it was not acknowledged."""

    async def close(self) -> None:
        """Let go."""


class Agent:
    """Reads and publishes every establishment of its settings; a fault of one does not stop the others."""

    def __init__(self, settings: AgentSettings, store: Store, publisher: Outlet) -> None:
        self._settings, self._store, self._publisher = settings, store, publisher
        self._clock: Clock = settings.clock
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="state")
        self._services: dict[str, EstablishmentService] = {}
        self._told: dict[tuple[str, str], list[str]] = {}
        self._pause = FIRST_PAUSE
        self._not_before = 0.0
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Go on until `stopping` is set; what is in hand is finished, or left as it was committed."""
        await self._until_stopped(self._go_on())

    async def run_until_idle(self) -> None:
        """Read every source to its end and publish everything; the last failure is raised once patience is over."""
        await self._until_stopped(self._settle())

    async def _until_stopped(self, work: Coroutine[None, None, None]) -> None:
        task, stop = asyncio.create_task(work), asyncio.create_task(self.stopping.wait())
        await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        _, late = await asyncio.wait((task,), timeout=GRACE)
        for each in late:
            each.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def _go_on(self) -> None:
        plan = [(0.0, self._next_slot(each), place) for place, each in enumerate(self._settings.establishments)]
        while plan and not self.stopping.is_set():
            due, publish_at, place = plan[0]
            await self._wait(due - self._real_now())
            if not self.stopping.is_set():
                heapreplace(plan, (*await self._serve(self._settings.establishments[place], publish_at), place))
        await self.stopping.wait()

    async def _serve(self, establishment: EstablishmentSettings, publish_at: float) -> tuple[float, float]:
        """One establishment's turn; returns when its next turn and its next publication are due."""
        try:
            unread = await self._off_loop(self._turn, establishment)
            publish_at = await self._publish_when_due(establishment, publish_at)
        except CollectorError as error:
            await self._failed(establishment, error)
            return self._real_now(), publish_at
        except Exception:  # noqa: BLE001 - an unforeseen fault of one establishment is told, and stays its own
            _log.exception("establishment_failed", uai=establishment.uai, todo="report this; the others go on")
            self._forget(establishment)
            return self._next_slot(establishment), publish_at
        return (self._real_now() if unread else max(publish_at, self._not_before)), publish_at

    async def _publish_when_due(self, establishment: EstablishmentSettings, publish_at: float) -> float:
        """Publish in the establishment's slot; while Kafka does not answer, all go on counting and only one of them asks."""
        if self._real_now() < max(publish_at, self._not_before):
            return publish_at
        try:
            await self._publish(establishment)
        except NotDeliveredError as error:
            self._not_before = self._real_now() + self._lengthen_pause()
            _log.warning(error.code, uai=establishment.uai, detail=str(error), retry_in_seconds=self._pause)
            return publish_at
        self._pause, self._not_before = FIRST_PAUSE, 0.0
        return self._next_slot(establishment)

    async def _settle(self) -> None:
        for establishment in self._settings.establishments:
            give_up = self._real_now() + PATIENCE_UNTIL_IDLE
            while not self.stopping.is_set() and not await self._settled(establishment, give_up):
                pass

    async def _settled(self, establishment: EstablishmentSettings, give_up: float) -> bool:
        try:
            if not await self._off_loop(self._turn_to_the_end, establishment):
                await self._publish(establishment)
                self._pause = FIRST_PAUSE
                return True
        except CollectorError as error:
            if self._real_now() >= give_up:
                raise
            await self._failed(establishment, error)
        return False

    async def close(self) -> None:
        """Let go of Kafka and, once the state's thread has ended its turn, of the files being read."""
        await self._publisher.close()
        self._worker.shutdown()
        for service in self._services.values():
            service.close()

    # --- on the state's own thread

    async def _off_loop(self, work: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *args)

    def _service(self, establishment: EstablishmentSettings) -> EstablishmentService:
        found = self._services.get(establishment.uai)
        if found is None:
            found = self._services[establishment.uai] = EstablishmentService(establishment, self._store, self._clock)
        return found

    def _turn_to_the_end(self, establishment: EstablishmentSettings) -> bool:
        return self._turn(establishment, to_the_end=True)

    def _turn(self, establishment: EstablishmentSettings, *, to_the_end: bool = False) -> bool:
        service = self._service(establishment)
        unread = service.turn(self._clock.now(), budget=TURN_BYTES, to_the_end=to_the_end)
        self._tell("source_not_observed", service, service.problems)
        self._tell("census_not_put_away", service, service.census.problems)
        self._tell("census_refused", service, service.census.faults)
        return unread

    def _tell(self, event: str, service: EstablishmentService, problems: list[str]) -> None:
        """Once when they change, not at every turn; kept for `agent status`."""
        uai = service.settings.uai
        if problems == self._told.get((event, uai)):
            return
        if problems or self._told.get((event, uai)):
            _log.warning(
                event, uai=uai, problems=problems[:MOST_TOLD] or "none any more", more=len(problems[MOST_TOLD:])
            )
        with self._store.transaction():
            self._store.problems.save(service.number, event, problems[:MOST_TOLD])
        self._told[event, uai] = list(problems)

    def _due_messages(self, establishment: EstablishmentSettings) -> list[tuple[UsageReported, list[DuePeriod]]]:
        return self._service(establishment).messages(self._settings.agent, self._clock.now())

    def _mark(self, establishment: EstablishmentSettings, sent: list[DuePeriod]) -> None:
        self._service(establishment).mark_published(sent, self._real_now())

    # --- publication and waiting

    async def _publish(self, establishment: EstablishmentSettings) -> None:
        for message, periods in await self._off_loop(self._due_messages, establishment):
            await self._publisher.publish(message)
            await self._off_loop(self._mark, establishment, periods)

    async def _failed(self, establishment: EstablishmentSettings, error: CollectorError) -> None:
        """Say what cannot be done, then wait: nothing is lost, the state and the sources stay where they were."""
        tell = _log.error if isinstance(error, StateUnavailableError) else _log.warning
        tell(error.code, uai=establishment.uai, detail=str(error), retry_in_seconds=self._pause)
        self._forget(establishment)
        await self._wait(self._lengthen_pause())

    def _lengthen_pause(self) -> float:
        """How long to wait now; the next time it is twice as long."""
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return pause

    def _forget(self, establishment: EstablishmentSettings) -> None:
        service = self._services.pop(establishment.uai, None)
        if service is not None:
            service.close()

    async def _wait(self, seconds: float) -> None:
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), seconds)

    def _real_now(self) -> float:
        return self._clock.real_now().timestamp()

    def _next_slot(self, establishment: EstablishmentSettings) -> float:
        return next_slot(establishment.uai, self._settings.cadence_seconds, self._real_now())
