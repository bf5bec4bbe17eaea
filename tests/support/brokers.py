"""Three Kafka brokers in a test's own hands: started, stopped, killed and started again one by one."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deploy.local.jars import fetch_jars
from deploy.local.java import find_java
from deploy.local.kafka import KafkaPorts, Membership, cluster_id, kafka_program
from deploy.local.ports import free_port
from deploy.local.process import on_leash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.local.program import Program

STARTED_WITHIN_S = 90
STOPPED_WITHIN_S = 60
SAID_WHEN_STARTED = "Kafka Server started"


@dataclass
class Broker:
    """One node; its data survive whatever is done to it."""

    program: Program
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.program.folder / f"{self.port}.log"

    def start(self) -> None:
        """Begin to start, on a leash: it does not outlive the tests' process. From the main thread only, for the leash's sake."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                on_leash(self.program.command, signal.SIGKILL), env=dict(self.program.environment), cwd=self.program.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def wait_until_started(self) -> None:
        assert self.process
        deadline = time.monotonic() + STARTED_WITHIN_S
        while SAID_WHEN_STARTED not in self.log.read_text("utf-8", "replace"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"a broker does not start: {self.log.read_text('utf-8', 'replace')[-2000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)
        self.process.wait(STOPPED_WITHIN_S)
        self.process = None


@dataclass
class Brokers:
    """A cluster in which each message is on two brokers before it is acknowledged (`min.insync.replicas=2`)."""

    nodes: list[Broker] = field(default_factory=list)

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> None:
        """All that do not run; returns when they do."""
        for node in (stopped := [node for node in self.nodes if node.process is None]):
            node.start()
        for node in stopped:
            node.wait_until_started()

    def kill(self) -> None:
        """All that run."""
        for node in self.nodes:
            if node.process:
                node.kill()


def _prepare(program: Program) -> None:
    """In a thread, because pytest has a loop of its own in this one."""

    async def prepare() -> None:
        await program.prepare()

    with ThreadPoolExecutor(1) as apart:
        apart.submit(lambda: asyncio.run(prepare())).result()


@contextmanager
def three_brokers(folder: Path) -> Iterator[Brokers]:
    """Started; killed at the end."""
    java, jars, cluster = find_java(), fetch_jars(), cluster_id(uuid.uuid4())
    found: list[int] = []
    for _ in range(6):
        found.append(free_port(found))
    brokers = Brokers()
    for node, (port, controller) in enumerate(zip(found[:3], found[3:], strict=True), 1):
        member = Membership(node, cluster, tuple(found[3:]))
        home = folder / f"node-{node}"
        program = kafka_program(home / "kafka", KafkaPorts(port, controller), java=java, jars=jars, of=member)
        _prepare(program)
        brokers.nodes.append(Broker(program, port))
    try:
        brokers.start()
        yield brokers
    finally:
        brokers.kill()
