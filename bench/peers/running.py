"""Starts peers, each in a process of its own, on topics that are published once, and sets what they did beside what we did."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.peers.streams import NoJdkError, built
from bench.progress import say
from bench.results import Result, absent, figure
from bench.servers import Servers, plain
from bench.traffic import Work, create_topics, publish
from contracts.usage_reported import TOPIC
from deploy.local.errors import LocalStackError
from deploy.local.places import ROOT

PYTHON = ROOT / ".tools" / "peers" / "bin" / "python"
"""`make bench` makes this environment: a peer runs with the libraries that its makers ask for."""
WITHIN_S = 240
WAITING, SLOW = "bench_waiting.", "bench_slow."


class PeerError(Exception):
    """A peer did not run; the message says why in a few words."""


class Run(msgspec.Struct, frozen=True):
    """What one consumer did, and how long it took; `memory_mb` is its process's."""

    seconds: float
    reports: int
    facts: int
    memory_mb: float

    @property
    def facts_a_second(self) -> float:
        return self.facts / self.seconds

    def figures(self, name: str) -> list[Result]:
        return [
            figure(f"aggregator.{name}.reports", round(self.reports / self.seconds), "reports/s"),
            figure(f"aggregator.{name}.facts", round(self.facts_a_second), "facts/s"),
            figure(f"aggregator.{name}.memory", self.memory_mb, "MB"),
        ]


@dataclass(frozen=True)
class Peer:
    """Somebody else's way to do the same.

    `ratio` names the figure that compares: with the faster of those that share it. `slow`: given the small share only. `writes`:
    takes the URL of a database, `keeps`: a folder for its state.
    """

    command: tuple[str, ...]
    ratio: str
    slow: bool = False
    writes: bool = False
    keeps: bool = False


OURS = (sys.executable, "-m")
THEIRS = (str(PYTHON), "-m")
STREAMS = "Kafka Streams"
PEERS = {
    "raw": Peer((*OURS, "bench.peers.raw"), "merge_vs_raw"),
    "rows": Peer((*OURS, "bench.peers.rows"), "merge_vs_rows", writes=True),
    "quix_sheets": Peer((*THEIRS, "bench.peers.quix", "sheets"), "merge_vs_quix", writes=True, keeps=True),
    "quix_cells": Peer(
        (*THEIRS, "bench.peers.quix", "cells"), "merge_vs_quix_cells", slow=True, writes=True, keeps=True
    ),
    "streams_sheets": Peer((STREAMS, "sheets", "2"), "merge_vs_streams", keeps=True),
    "streams_sheets_one_thread": Peer((STREAMS, "sheets", "1"), "merge_vs_streams", keeps=True),
    "streams_cells": Peer((STREAMS, "cells", "2"), "merge_vs_streams_cells", slow=True, keeps=True),
}


class Peers:
    """Runs peers on the two topics."""

    def __init__(self, these: Servers, folder: Path, messages: dict[str, int]) -> None:
        self._servers, self._folder, self._messages = these, folder, messages

    @classmethod
    @asynccontextmanager
    async def ready(cls, these: Servers, waiting: Work, slow: Work) -> AsyncIterator[Peers]:
        """Publish both works; state folders lie in one that is removed at the end."""
        for prefix, work in ((WAITING, waiting), (SLOW, slow)):
            await create_topics(these.bootstrap, prefix)
            await publish(these.bootstrap, prefix, work.messages)
        with tempfile.TemporaryDirectory(prefix="territoriale-peers-") as folder:
            yield cls(these, Path(folder), {WAITING: len(waiting.messages), SLOW: len(slow.messages)})

    async def run(self, name: str) -> Run | str:
        """What a peer did, or why it did not."""
        say(name)
        try:
            return await self._run(name, PEERS[name])
        except (PeerError, NoJdkError, LocalStackError) as error:
            return str(error)

    async def _run(self, name: str, peer: Peer) -> Run:
        prefix = SLOW if peer.slow else WAITING
        command = [*self._program(peer), self._servers.bootstrap, prefix + TOPIC, str(self._messages[prefix])]
        state = self._folder / name
        async with self._servers.database(f"peer_{name}") as url:
            if peer.writes:
                command.append(plain(url))
            if peer.keeps:
                command.append(str(state))
            try:
                return await _told(command)
            finally:
                shutil.rmtree(state, ignore_errors=True)

    def _program(self, peer: Peer) -> list[str]:
        program, *arguments = peer.command
        if program == STREAMS:
            return [*built(self._folder / "classes"), *arguments]
        if program == str(PYTHON) and not PYTHON.exists():
            raise PeerError("its packages are not installed; run make bench")
        return list(peer.command)


def compared(one: Run, runs: Mapping[str, Run | str]) -> Iterator[Result]:
    """The figures of all peers, then ours of one process divided by the best of each kind; or why there are none."""
    for name, run in runs.items():
        yield from run.figures(name) if isinstance(run, Run) else [absent(f"aggregator.{name}", run)]
    for ratio in dict.fromkeys(PEERS[name].ratio for name in runs):
        kind = [run for name, run in runs.items() if PEERS[name].ratio == ratio]
        best = max((run.facts_a_second for run in kind if isinstance(run, Run)), default=None)
        if best is None:
            yield absent(f"aggregator.{ratio}", str(kind[0]))
        else:
            yield figure(f"aggregator.{ratio}", round(one.facts_a_second / best, 3), "ratio")


async def _told(command: list[str]) -> Run:
    """Run to the end and read the last line that it printed."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise PeerError(f"not done after {WITHIN_S} s") from None
    if process.returncode:
        sys.stderr.buffer.write(errors[-2000:])
        raise PeerError(f"it failed: {errors.decode(errors='replace').strip().splitlines()[-1][:120]}")
    return msgspec.json.decode(output.strip().splitlines()[-1], type=Run)
