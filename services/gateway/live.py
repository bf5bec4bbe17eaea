"""Live events: `refetch` on a tick when counters of the reader's perimeter have changed, and never a value."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Annotated, Any

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from chassis.errors import UnauthorizedError, UnavailableError
from chassis.kafka import TopicSpec, ensure_topics
from contracts.counters_updated import TOPIC, CountersUpdated
from contracts.topics import load_cards
from services.gateway.gate import reader_of
from services.gateway.readers import Reader, Readers

RETRY_SECONDS = 5.0
"""Between attempts to reach Kafka; readers refetch once it is back, because nobody knows what was missed."""
POLL_MS = 500
"""How long a look at Kafka waits for news; it is also how long closing may take."""
STOP_SECONDS = 3.0
"""Following that still waits for Kafka after this is cut off; nothing is lost by it."""
OPENING = b"retry: 5000\n: open\n\n"
REFETCH = b"event: refetch\ndata: {}\n\n"
KEEP_ALIVE = b": nothing new\n\n"
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "A stream of events", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}
_decode = msgspec.json.Decoder(CountersUpdated).decode

log = structlog.get_logger()


class Touched:
    """Which establishments' counters changed, and when, by a number that only grows."""

    def __init__(self) -> None:
        self._count = 0
        self._all_at = 0
        self._at: dict[str, int] = {}

    def mark(self) -> int:
        """A moment, to compare with later."""
        return self._count

    def touch(self, uais: Iterable[str]) -> None:
        self._count += 1
        self._at.update(dict.fromkeys(uais, self._count))

    def touch_all(self) -> None:
        self._count += 1
        self._all_at = self._count

    def since(self, mark: int, uais: Collection[str]) -> bool:
        """Whether one of these establishments has changed after `mark`."""
        return self._all_at > mark or any(self._at.get(uai, 0) > mark for uai in uais)


class Live:
    """Reads `counters.updated.v1` once per process and serves any number of streams."""

    def __init__(self, bootstrap: str, readers: Readers, tick_seconds: float) -> None:
        self.touched = Touched()
        self._bootstrap = bootstrap
        self._readers = readers
        self._tick = tick_seconds
        self._closing = asyncio.Event()

    async def follow(self) -> None:
        """Until closed, note what changes; after an interruption everything counts as changed."""
        last_error = ""
        while not self._closing.is_set():
            try:
                await self._read_until_failure()
            except (KafkaError, OSError) as error:
                if str(error) != last_error:
                    log.warning("live events wait for Kafka; pages still refetch by themselves", error=str(error))
                last_error = str(error)
            await self._closed_within(RETRY_SECONDS)

    async def _read_until_failure(self) -> None:
        card = load_cards()[TOPIC]
        await ensure_topics(self._bootstrap, [TopicSpec(TOPIC, card.partitions, config=card.config())])
        consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=self._bootstrap, auto_offset_reset="latest")
        try:
            await consumer.start()
            self.touched.touch_all()
            while not self._closing.is_set():
                batches = await consumer.getmany(timeout_ms=POLL_MS)
                self.touched.touch(uai for records in batches.values() for uai in _uais(r.value for r in records))
        finally:
            await consumer.stop()

    async def stream(self, reader: Reader, authorization: str) -> AsyncIterator[bytes]:
        """Events for one reader. Rights are found again at each tick; a stream whose token has ended ends with it."""
        yield OPENING
        mark = self.touched.mark()
        while not await self._closed_within(self._tick):
            try:
                now = await self._readers.find(authorization)
            except UnauthorizedError:
                return
            except UnavailableError:
                yield KEEP_ALIVE
                continue
            changed = now.perimeter != reader.perimeter or self.touched.since(mark, now.uais)
            mark, reader = self.touched.mark(), now
            yield REFETCH if changed else KEEP_ALIVE

    async def _closed_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._closing.wait()
        return False

    def close(self) -> None:
        """End all streams, and the following of Kafka, so that the server can stop."""
        self._closing.set()

    async def end(self, following: asyncio.Task[None]) -> None:
        """Close, and wait for `follow` to leave Kafka in order."""
        self.close()
        _, late = await asyncio.wait([following], timeout=STOP_SECONDS)
        following.cancel()
        await asyncio.gather(following, return_exceptions=bool(late))

    @contextmanager
    def closing_on_signal(self) -> Iterator[None]:
        """End all streams when the process is asked to stop: the server waits for answers, and a stream is one without end.

        Stands before the server's own handlers and calls them; does nothing outside a process's main thread.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self.close)
            previous = before[signal.Signals(number)]
            if callable(previous):
                previous(number, frame)
            else:
                signal.signal(number, previous)
                signal.raise_signal(number)

        for number in before:
            signal.signal(number, handle)
        yield
        for number, previous in before.items():
            signal.signal(number, previous)


def live_router(live: Live) -> APIRouter:
    """The route of live events."""
    router = APIRouter(tags=["live"])

    @router.get("/live", summary="When to ask again", responses=EVENTS, response_class=StreamingResponse)
    async def events(reader: Annotated[Reader, Depends(reader_of)], request: Request) -> StreamingResponse:
        """Server-sent events: `refetch` when figures of the perimeter have changed since the last tick; never a value."""
        stream = live.stream(reader, request.headers["authorization"])
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return router


def _uais(values: Iterable[bytes | None]) -> Iterable[str]:
    """Establishments that messages name; one that cannot be read names nobody."""
    for value in values:
        try:
            yield _decode(value or b"").uai
        except (msgspec.MsgspecError, UnicodeDecodeError):
            log.warning("a message of counters.updated.v1 cannot be read and is passed over")
