"""The aggregator as it runs for real, one or several processes, with a stand-in for identity's registry and eyes on what is committed."""

from __future__ import annotations

import asyncio
import http.server
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec
import psutil
from aiokafka.admin import AIOKafkaAdminClient

from bench.memory import peak_mb
from bench.progress import say
from bench.servers import Servers, plain
from bench.traffic import NOW, create_topics
from contracts.registry import Registry
from deploy.local.places import ROOT
from services.aggregator import metrics
from services.aggregator.handlers import GROUP, SESSION_MS
from services.aggregator.running import prepare_database

CONSUMING = b"The aggregator consumes"
START_WITHIN_S, END_WITHIN_S = 60, 20
LOOK_EVERY_S = 0.01
PATIENCE_S = 60
"""Without any progress for so long, a bench gives up."""


class NoProgressError(Exception):
    """The aggregator stands still, or refuses what it is given."""


@dataclass(frozen=True)
class Home:
    """What the processes of one run share: database, prefix of topics and group, registry."""

    servers: Servers
    url: str
    prefix: str
    identity: str


@asynccontextmanager
async def home(servers: Servers, name: str, registry: Registry) -> AsyncIterator[Home]:
    """A fresh database and fresh topics."""
    with registry_at(registry) as identity:
        async with servers.database(name) as url:
            await prepare_database(url)
            await create_topics(servers.bootstrap, f"{name}.")
            yield Home(servers, url, f"{name}.", identity)


@contextmanager
def registry_at(registry: Registry) -> Iterator[str]:
    """An address that answers `/internal/registry` as identity does."""
    content = msgspec.json.encode(registry)

    class Door(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("If-None-Match") == "1"
            self.send_response(304 if known else 200)
            self.send_header("ETag", "1")
            self.end_headers()
            if not known:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nobody asks for a log of it."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Aggregators:
    """Running processes of one group."""

    def __init__(self, processes: Sequence[asyncio.subprocess.Process]) -> None:
        self._processes = [psutil.Process(process.pid) for process in processes]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """They stand still meanwhile. Shorter than their session, so that no partition moves."""
        self._signal(signal.SIGSTOP)
        began = time.perf_counter()
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)
        if time.perf_counter() - began > SESSION_MS / 1000:
            say("they were frozen past their session: this figure holds a rebalance, too")

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            process.send_signal(number)

    def cpu_s(self) -> float:
        """Seconds of processor time of all of them since their start."""
        spent = [process.cpu_times() for process in self._processes]
        return float(sum(each.user + each.system for each in spent))

    def memory_mb(self) -> int:
        """Peak of the greatest of them."""
        return max(peak_mb(process.pid) for process in self._processes)


@asynccontextmanager
async def aggregators(home: Home, number: int = 1, *, now: datetime = NOW) -> AsyncIterator[Aggregators]:
    """So many processes, started, all partitions shared among them; terminated at the end."""
    processes = [await _start(home, now) for _ in range(number)]
    listeners: list[asyncio.Task[None]] = []
    try:
        async with asyncio.timeout(START_WITHIN_S):
            await asyncio.gather(*(_consuming(process) for process in processes))
            listeners = [asyncio.create_task(_listen(process)) for process in processes]
            await _settled(home, number)
        yield Aggregators(processes)
    finally:
        await asyncio.gather(*(_end(process) for process in processes), *listeners)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(END_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _start(home: Home, now: datetime) -> asyncio.subprocess.Process:
    settings = {
        "USAGE_DATABASE": home.url,
        "KAFKA": home.servers.bootstrap,
        "IDENTITY_URL": home.identity,
        "TOPIC_PREFIX": home.prefix,
        "INTERNAL_TOKEN": "bench",
        "NOW": now.isoformat(),
    }
    environment = os.environ | {f"TERRITORIALE_{name}": value for name, value in settings.items()}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.aggregator", env=environment, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def _consuming(process: asyncio.subprocess.Process) -> None:
    assert process.stdout
    said = []
    while line := await process.stdout.readline():
        if CONSUMING in line:
            return
        said.append(line.decode())
    raise NoProgressError("".join(said[-5:]))


async def _listen(process: asyncio.subprocess.Process) -> None:
    """Read what it says, so that it never waits for us; errors are passed on."""
    assert process.stdout
    while line := await process.stdout.readline():
        if b"error" in line.lower():
            sys.stderr.buffer.write(line)


async def _settled(home: Home, number: int) -> None:
    """Wait until the group has so many members and is stable."""
    admin = AIOKafkaAdminClient(bootstrap_servers=home.servers.bootstrap)
    await admin.start()
    try:
        while not await _is_settled(admin, home.prefix + GROUP, number):  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def _is_settled(admin: AIOKafkaAdminClient, group: str, number: int) -> bool:
    described = (await admin.describe_consumer_groups([group]))[0].groups[0]
    _, _, state, _, _, members, *_ = described
    return state == "Stable" and len(members) == number


class Watch:
    """Sees what is committed."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def accepted(self) -> int:
        """Reports merged so far."""
        counted = await self._connection.fetch(
            "select outcome, cause, sum(count)::bigint from usage.outcomes group by 1, 2"
        )
        others = [f"{outcome} {cause}: {count}" for outcome, cause, count in counted if outcome not in FINE]
        if others:
            raise NoProgressError(f"not all reports are accepted: {', '.join(others)}")
        return sum(count for outcome, _, count in counted if outcome == metrics.ACCEPTED)

    async def until(self, reports: int) -> float:
        """Wait until so many are merged; the moment at which it was seen, by `time.perf_counter`."""
        last, at = -1, time.perf_counter()
        while (found := await self.accepted()) < reports:
            if found != last:
                last, at = found, time.perf_counter()
            elif time.perf_counter() - at > PATIENCE_S:
                raise NoProgressError(f"{found} of {reports} reports, and no more for {PATIENCE_S} s")
            await asyncio.sleep(LOOK_EVERY_S)
        return time.perf_counter()


FINE = (metrics.ACCEPTED, metrics.FLAGGED)


@asynccontextmanager
async def watch(home: Home) -> AsyncIterator[Watch]:
    """Eyes on one run's database."""
    connection = await asyncpg.connect(plain(home.url))
    try:
        yield Watch(connection)
    finally:
        await connection.close()
