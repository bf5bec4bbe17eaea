"""The agent's loop: each establishment has its slot in the cadence, in which it is read and published."""

from __future__ import annotations

import asyncio
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from heapq import heapreplace
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from services.collector.errors import (
    CollectorError,
    MessageRefusedError,
    NotDeliveredError,
    StateUnavailableError,
    TooOldError,
)
from services.collector.hello import fail, learn, situation_of, warn
from services.collector.orders import orders
from services.collector.service import EstablishmentService
from services.collector.version import agent_version

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from contracts.fleet import FamilyStanding
    from contracts.usage_reported import UsageReported
    from services.collector.clock import AgentClock
    from services.collector.config import AgentSettings, EstablishmentSettings
    from services.collector.hello import Greeter, Heard
    from services.collector.knowledge import Knowledge
    from services.collector.orders import Orders
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

_TODO = {
    413: "a proxy on the way allows smaller bodies than 500 kB: have its limit raised",
    422: "the platform does not understand this agent: upgrade it, else report this",
}
_REPORT = "ask the platform's administrator; it is tried again at each publication"

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


def slot(uai: str, cadence: float) -> float:
    """Place of an establishment in the cadence, in seconds: by hash, so that agents do not all report at the top of it."""
    return zlib.crc32(uai.encode()) / 2**32 * cadence


def next_slot(uai: str, cadence: float, now: float) -> float:
    """The first instant after `now` at which an establishment reports: it depends on no event."""
    offset = slot(uai, cadence)
    return (now - offset) // cadence * cadence + cadence + offset


def _is_hopeless(error: CollectorError) -> bool:
    return isinstance(error, NotDeliveredError) and error.hopeless


class Outlet(Protocol):
    """Where messages go: the gateway, Kafka, or whatever stands in its place."""

    async def publish(self, message: UsageReported) -> None:
        """Deliver one message; `NotDeliveredError` when it was not acknowledged, `MessageRefusedError` when it never will be."""

    async def close(self) -> None:
        """Let go."""


class Agent:
    """Reads and publishes every establishment that it may; a fault of one does not stop the others.

    `greeter`: says hello where the platform has a door for it; without one the settings alone say what to do.
    """

    def __init__(
        self, settings: AgentSettings, store: Store, publisher: Outlet, greeter: Greeter | None = None
    ) -> None:
        self._settings, self._store, self._publisher, self._greeter = settings, store, publisher, greeter
        self._clock: AgentClock = settings.clock
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="state")
        self._services: dict[str, EstablishmentService] = {}
        self._told: dict[tuple[str, str], list[str]] = {}
        self._pause = FIRST_PAUSE
        self._not_before = 0.0
        self._standing: dict[str, tuple[FamilyStanding, ...]] = {}
        self._orders: Orders
        self._news = asyncio.Event()
        self.stopping = asyncio.Event()
        self._obey(store.memory.knowledge())

    async def run(self) -> None:
        """Go on until `stopping` is set; what is in hand is finished, or left as it was committed."""
        await self._until_stopped(self._go_on())

    async def meet(self) -> AgentSettings:
        """Say hello before anything else is done; the settings as they are to be obeyed."""
        if self._greeter is not None:
            await self._heard_once(self._real_now() + PATIENCE_UNTIL_IDLE)
        return replace(self._settings, establishments=self._orders.establishments, clock=self._clock)

    async def run_until_idle(self) -> None:
        """Read every source to its end and publish everything; the last failure is raised once patience is over."""
        await self._until_stopped(self._settle(reads=True))

    async def run_until_published(self) -> None:
        """Publish what is due and read nothing: for what was put in the state by other means."""
        await self._until_stopped(self._settle(reads=False))

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
        if self._greeter is None:
            await self._serve_all()
            return
        hello_at = await self._say_hello(FIRST_PAUSE)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_in_touch(*hello_at))
            tasks.create_task(self._serve_all())

    async def _serve_all(self) -> None:
        while not self.stopping.is_set():
            self._news.clear()
            self._forget_changed()
            await self._serve_as_ordered(self._orders)

    async def _serve_as_ordered(self, ordered: Orders) -> None:
        """Turn after turn, until other orders come."""
        served = ordered.establishments
        plan = [(0.0, self._next_slot(each), place) for place, each in enumerate(served)]
        while plan and not self.stopping.is_set() and not self._news.is_set():
            due, publish_at, place = plan[0]
            await self._wait(due - self._real_now(), self._news)
            if not self.stopping.is_set() and not self._news.is_set():
                heapreplace(plan, (*await self._serve(served[place], publish_at), place))
        await self._either(self.stopping, self._news)

    # --- hello

    async def _keep_in_touch(self, hello_at: float, pause: float) -> None:
        while not self.stopping.is_set():
            await self._wait(hello_at - self._real_now())
            if not self.stopping.is_set():
                hello_at, pause = await self._say_hello(pause)

    async def _say_hello(self, pause: float) -> tuple[float, float]:
        """When to say the next one, and how long to wait should that fail."""
        try:
            await self._greet()
        except CollectorError as error:
            tell = _log.error if isinstance(error, StateUnavailableError) or error.exit_code > 1 else _log.warning
            tell(error.code, detail=str(error), retry_in_seconds=pause)
            return self._real_now() + pause, min(2 * pause, LONGEST_PAUSE)
        return next_slot(self._settings.agent, self._orders.cadence_seconds, self._real_now()), FIRST_PAUSE

    async def _greet(self) -> None:
        assert self._greeter
        situation = await self._off_loop(situation_of, self._store, self._settings.state)
        try:
            heard = await self._greeter.greet(situation)
        except (NotDeliveredError, MessageRefusedError) as error:
            await self._off_loop(fail, self._store, str(error), self._clock.real_now())
            raise
        await self._learn(heard)

    async def _learn(self, heard: Heard) -> None:
        before, told = await self._off_loop(self._store.memory.knowledge), self._orders.remarks
        known = await self._off_loop(learn, self._store, heard)
        self._obey(known)
        warn(before, known, self._orders.remarks, told)
        if self._orders.too_old:
            _log.error(TooOldError.code, minimum=self._orders.too_old, todo="upgrade the agent; it counts and waits")

    def _obey(self, known: Knowledge) -> None:
        """What is known is what is done, from the next turn on."""
        if self._greeter:
            self._clock = self._settings.clock.corrected(timedelta(seconds=known.ahead))
            self._standing = known.standing_by_uai()
        ordered = orders(self._settings, known, agent_version())
        if ordered != getattr(self, "_orders", None):
            self._orders = ordered
            self._news.set()

    def _forget_changed(self) -> None:
        """Services of other orders; between turns, so that nobody is reading their files."""
        settings = {each.uai: each for each in self._orders.establishments}
        for service in list(self._services.values()):
            if settings.get(service.settings.uai) != service.settings:
                self._forget(service.settings)

    # --- one establishment

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
            wait = max(self._lengthen_pause(), error.retry_after or 0.0)
            self._not_before = self._real_now() + wait
            tell = _log.error if error.hopeless else _log.warning
            tell(error.code, uai=establishment.uai, detail=str(error), retry_in_seconds=wait)
            await self._off_loop(self._remember, establishment, NotDeliveredError.code, [str(error)])
            return publish_at
        await self._off_loop(self._remember, establishment, NotDeliveredError.code, [])
        self._pause, self._not_before = FIRST_PAUSE, 0.0
        return self._next_slot(establishment)

    async def _settle(self, *, reads: bool) -> None:
        if self._greeter is not None:
            await self._heard_once(self._real_now() + PATIENCE_UNTIL_IDLE)
        for establishment in self._orders.establishments:
            give_up = self._real_now() + PATIENCE_UNTIL_IDLE
            while not self.stopping.is_set() and not await self._settled(establishment, give_up, reads=reads):
                pass

    async def _heard_once(self, give_up: float) -> None:
        """Hello comes first; without an answer what was known is obeyed, and where nothing is there is nothing to do."""
        while not self.stopping.is_set():
            try:
                await self._greet()
            except CollectorError as error:
                if _is_hopeless(error) or self._real_now() >= give_up:
                    raise
                _log.warning(error.code, detail=str(error), retry_in_seconds=self._pause)
                if not self._orders.waiting:
                    return
                await self._wait(self._lengthen_pause())
            else:
                return

    async def _settled(self, establishment: EstablishmentSettings, give_up: float, *, reads: bool) -> bool:
        try:
            if not (reads and await self._off_loop(self._turn_to_the_end, establishment)):
                await self._publish(establishment)
                self._pause = FIRST_PAUSE
                return True
        except CollectorError as error:
            if _is_hopeless(error) or self._real_now() >= give_up:
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
        found.clock, found.standing = self._clock, self._standing.get(establishment.uai, ())
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

    def _remember(self, establishment: EstablishmentSettings, event: str, details: list[str]) -> None:
        """What became of its reports, for `agent status`."""
        number = self._service(establishment).number
        if details or self._store.problems.of(number).get(event):
            with self._store.transaction():
                self._store.problems.save(number, event, details[:MOST_TOLD])

    # --- publication and waiting

    async def _publish(self, establishment: EstablishmentSettings) -> None:
        if self._orders.too_old:
            raise TooOldError(
                f"the platform hears {self._orders.too_old} and newer, this is {agent_version()}: upgrade it"
            )
        refused = []
        for message, periods in await self._off_loop(self._due_messages, establishment):
            try:
                await self._publisher.publish(message)
            except MessageRefusedError as error:
                refused.append(str(error))
                _log.error(error.code, uai=establishment.uai, detail=str(error), todo=_TODO.get(error.status, _REPORT))
            else:
                await self._off_loop(self._mark, establishment, periods)
        await self._off_loop(self._remember, establishment, MessageRefusedError.code, refused)

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

    async def _wait(self, seconds: float, *events: asyncio.Event) -> None:
        """So many seconds, or until the agent is to stop or one of the events is set."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._either(self.stopping, *events), seconds)

    @staticmethod
    async def _either(*events: asyncio.Event) -> None:
        tasks = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _real_now(self) -> float:
        return self._clock.real_now().timestamp()

    def _next_slot(self, establishment: EstablishmentSettings) -> float:
        return next_slot(establishment.uai, self._orders.cadence_seconds, self._real_now())
