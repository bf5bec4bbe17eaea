"""Apache Kafka as a local process: KRaft, one node (or several, for tests), 127.0.0.1 only, data in its own folder.

Its listeners are plain text without accounts, as everything on this machine's loopback may read it: that is for development and
demonstrations; production's Kafka has SASL, TLS and ACLs.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.diagnosis import disk_full, first_matching
from deploy.local.errors import DataFolderError, LocalStackError, ProgramFailedError
from deploy.local.jars import Progress, fetch_jars, jars_are_here, lock_digest
from deploy.local.java import Java, find_java
from deploy.local.places import cache_folder
from deploy.local.process import bare_environment, run_to_end
from deploy.local.program import Program, Says

MEMORY = "512m"
"""Heap. The broker of a local stack lives in 340 MB."""

QUIET_UNSAFE, OLDEST_THAT_WARNS = "--sun-misc-unsafe-memory-access=allow", 24
"""Kafka's way of unmapping files is deprecated; newer Javas say so four times at each start."""

FIRST_NON_ASCII = 128

STARTED = re.compile("Kafka Server started")


@dataclass(frozen=True, slots=True)
class KafkaPorts:
    """The broker's port and the one of the KRaft controller in the same process."""

    broker: int
    controller: int


@dataclass(frozen=True, slots=True)
class Membership:
    """Which node of which cluster a broker is; `controllers` are the ports of all nodes' controllers, in the order of their ids."""

    node: int
    cluster: str
    controllers: tuple[int, ...]


def kafka_program(
    folder: Path, ports: KafkaPorts, *, java: Java, jars: Sequence[Path], of: Membership | None = None
) -> Program:
    """The broker, alone unless it is one `of` several; its data folder is formatted before the first start."""
    member = of or Membership(1, cluster_id(uuid.uuid4()), (ports.controller,))

    async def prepare() -> None:
        (folder / "data").mkdir(parents=True, exist_ok=True)
        _properties(folder).write_text(_configuration(folder, ports, member))
        if not (folder / "data" / "meta.properties").exists():
            await _format(folder, member.cluster, java, jars)

    return Program(
        name="kafka",
        command=_broker(folder, java, jars),
        ready=Says(STARTED),
        environment=bare_environment(),
        folder=folder.parent,
        prepare=prepare,
        diagnose=lambda words: _diagnose(words, folder),
        grace_s=20,
    )


def _properties(folder: Path) -> Path:
    return folder / "server.properties"


def _configuration(folder: Path, ports: KafkaPorts, member: Membership) -> str:
    """`broker.session.timeout.ms`: a broker killed hard may register again after 3 s instead of 9.

    `offsets.topic.num.partitions`: one process does not need fifty. Of three brokers one may be lost: each message is on two.
    """
    voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in enumerate(member.controllers, 1))
    copies, least = (3, 2) if len(member.controllers) > 1 else (1, 1)
    return f"""\
process.roles=broker,controller
node.id={member.node}
controller.quorum.voters={voters}
min.insync.replicas={least}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{ports.broker},CONTROLLER://127.0.0.1:{ports.controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{ports.broker}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={_as_property(folder / "data")}
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=1000
log.message.timestamp.type=LogAppendTime
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor={copies}
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={least}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={least}
group.initial.rebalance.delay.ms=0
"""


def _as_property(path: Path) -> str:
    """Java reads these files as Latin-1: any other character is written by its number."""
    text = str(path).replace("\\", "\\\\").encode("utf-16-be")
    units = [int.from_bytes(text[place : place + 2]) for place in range(0, len(text), 2)]
    return "".join(chr(unit) if unit < FIRST_NON_ASCII else f"\\u{unit:04x}" for unit in units)


def _broker(folder: Path, java: Java, jars: Sequence[Path]) -> tuple[str, ...]:
    return (*_java(java, jars), "kafka.Kafka", str(_properties(folder)))


def _java(java: Java, jars: Sequence[Path]) -> tuple[str, ...]:
    """Flags for a process that should start soon rather than run for months."""
    cache = class_cache(java)
    return (
        str(java.program),
        f"-Xmx{MEMORY}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        *((f"-XX:AOTCache={cache}", "-Xlog:aot*=off") if cache.exists() else ()),
        *((QUIET_UNSAFE,) if java.major >= OLDEST_THAT_WARNS else ()),
        *_flags(),
        "-cp",
        os.pathsep.join(map(str, jars)),
    )


def _flags() -> tuple[str, ...]:
    return (
        "-Djava.awt.headless=true",
        "-Djava.net.preferIPv4Stack=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
        "-Dorg.slf4j.simpleLogger.showThreadName=false",
        "-Dorg.slf4j.simpleLogger.showShortLogName=true",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    )


def cluster_id(drawn: uuid.UUID) -> str:
    """22 characters of base64, of which the first is a letter: Kafka's tool takes what begins with a dash for an option."""
    raw = drawn.bytes
    return base64.urlsafe_b64encode(bytes((raw[0] & 0x7F,)) + raw[1:]).rstrip(b"=").decode()


async def _format(folder: Path, cluster: str, java: Java, jars: Sequence[Path]) -> None:
    code, output = await run_to_end(
        (*_java(java, jars), "kafka.tools.StorageTool", "format", "--cluster-id", cluster, "--config",
         str(_properties(folder))),
        environment=bare_environment(), folder=folder,
    )  # fmt: skip
    if code:
        words = output.splitlines()
        raise _diagnose(words, folder) or ProgramFailedError(
            f"Kafka's data folder {folder / 'data'} cannot be made: {first_matching(words, 'Exception', 'Error') or output[-300:]}"
        )


def _diagnose(words: Sequence[str], folder: Path) -> LocalStackError | None:
    """A broker that finds its own files unreadable ends at once and says so in one of a few ways."""
    broken = first_matching(
        words, "CorruptRecordException", "InconsistentClusterIdException", "InconsistentBrokerIdException",
        "KafkaStorageException", "meta.properties", "Encountered fatal fault", "No `meta.properties` found",
    )  # fmt: skip
    if full := disk_full(words, "Kafka"):
        return full
    if not broken:
        return None
    return DataFolderError(
        f"Kafka cannot read its data folder {folder / 'data'} ({broken}); put it back from a copy, or forget this stack with "
        f"`territoriale local down --state {folder.parent} --forget` and start it again: agents and simulation report anew."
    )


def class_cache(java: Java) -> Path:
    """The file of Kafka's loaded and linked classes; bound to these exact jars and this Java."""
    return cache_folder() / f"kafka-{lock_digest()}-java{java.major}.aot"


def kafka_is_here() -> bool:
    """Whether a broker can start fast without fetching or recording anything."""
    java = find_java()
    return jars_are_here() and (class_cache(java).exists() or not java.has_class_cache)


async def fetch_kafka(say: Progress, ports: KafkaPorts) -> None:
    """Jars, then one start of the broker that records its classes: 7 s once, 2 s less at each later start."""
    java, jars = find_java(), fetch_jars(say)
    if java.has_class_cache and not class_cache(java).exists():
        say("recording Kafka's classes, so that it starts faster from now on")
        await _record_classes(java, jars, ports)


async def _record_classes(java: Java, jars: Sequence[Path], ports: KafkaPorts) -> None:
    """Start the broker once on a scratch folder; without the cache it only starts slower, so a failure here is no failure."""
    folder = cache_folder() / f"recording-{os.getpid()}"
    fresh = folder / "classes.aot"
    folder.mkdir(parents=True)
    try:
        program = kafka_program(folder, ports, java=java, jars=jars)
        await program.prepare()
        flag = f"-XX:AOTCacheOutput={fresh}"
        await _start_and_stop((program.command[0], flag, *program.command[1:]), folder)
        if fresh.exists():
            fresh.replace(class_cache(java))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _start_and_stop(command: tuple[str, ...], folder: Path) -> None:
    from deploy.local.output import Output
    from deploy.local.process import Running

    program = Program(
        name="kafka", command=command, ready=Says(STARTED), environment=bare_environment(), folder=folder,
        stop_signal=signal.SIGTERM, grace_s=60,
    )  # fmt: skip
    voice = Output(folder).voice("recording")
    running = await Running.start(program, voice)
    try:
        await running.ready()
    finally:
        await running.stop()
        voice.close()
