"""Starts a graph of programs by readiness, keeps them running, and stops them in reverse; leaves no orphan."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.local.errors import LocalStackError, ProgramFailedError
from deploy.local.output import Output, Voice
from deploy.local.process import Running
from deploy.local.program import Ends, Node, Program, Step
from deploy.local.status import NodeStatus, StackStatus, State, birth

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Before each further start of a program that ended by itself; the last one repeats."""

FORGIVEN_AFTER_S = 60.0
"""A program that ran this long starts again at the first pause."""

FIRST_ATTEMPTS = 3
"""Starts of a program that never was ready, before the whole stack is given up with a clear sentence."""

Tell = Callable[[str, State], None]


class Supervisor:
    """Runs nodes until `stop`. `tell` hears every change of state, for a progress display."""

    def __init__(
        self, nodes: Sequence[Node], output: Output, folder: Path, tell: Tell = lambda _name, _state: None
    ) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._output, self._folder, self._tell = output, folder, tell
        self._status = StackStatus(nodes={name: NodeStatus() for name in self._nodes})
        self._ready = {name: asyncio.Event() for name in self._nodes}
        self._gone = {name: asyncio.Event() for name in self._nodes}
        self._voices = {name: output.voice(name) for name, node in self._nodes.items() if isinstance(node, Program)}
        self._running: dict[str, Running] = {}
        self._tenders: dict[str, asyncio.Task[None]] = {}

    async def run(self, end: asyncio.Event, announce: Callable[[], None]) -> None:
        """Start, announce, wait for `end`, stop. An `end` during the start stops at once, without an announcement."""
        starting, ending = asyncio.create_task(self.start()), asyncio.create_task(end.wait())
        await asyncio.wait((starting, ending), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait((starting,))
            return
        try:
            await starting
            announce()
            await ending
        finally:
            ending.cancel()
            await self.stop()

    async def start(self) -> None:
        """Return when every node is ready, those behind excepted; on the first failure stop everything and raise it."""
        self._tenders = {name: asyncio.create_task(self._tend(node)) for name, node in self._nodes.items()}
        try:
            await self._first_readiness()
        except BaseException:
            await self.stop()
            raise

    async def _first_readiness(self) -> None:
        """Every node ready but those behind, or the first failure raised."""
        awaited = [name for name, node in self._nodes.items() if not (isinstance(node, Program) and node.behind)]
        ready = asyncio.create_task(self._all_ready(awaited))
        waited: set[asyncio.Task[None]] = {ready, *(self._tenders[name] for name in awaited)}
        try:
            while not ready.done():
                done, waited = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            ready.cancel()

    async def stop(self) -> None:
        """Stop dependents before what they need; independent programs at the same time."""
        await asyncio.gather(*(self._stop_one(name) for name in self._nodes))
        for voice in self._voices.values():
            voice.close()

    def awaited(self) -> list[str]:
        """What is being started and not ready yet."""
        under_way = ("preparing", "starting", "restarting")
        return [
            name
            for name, node in self._status.nodes.items()
            if node.state in under_way and not self._ready[name].is_set()
        ]

    async def _all_ready(self, names: Sequence[str]) -> None:
        for name in names:
            await self._ready[name].wait()

    async def _tend(self, node: Node) -> None:
        """The life of one node, from its needs to its end; only `stop` ends it once it has been ready."""
        try:
            await self._all_ready(node.needs)
            await (self._do(node) if isinstance(node, Step) else self._keep(node))
        except LocalStackError:
            self._mark(node.name, "failed")
            raise
        except Exception as error:
            self._mark(node.name, "failed")
            raise ProgramFailedError(f"{node.name} failed: {type(error).__name__} {error}".strip()) from error

    async def _do(self, step: Step) -> None:
        self._mark(step.name, "starting")
        await step.run()
        self._mark(step.name, "done")
        self._ready[step.name].set()

    async def _keep(self, program: Program) -> None:
        clock = asyncio.get_running_loop().time
        failures = 0
        while True:
            began = clock()
            try:
                if await self._run_once(program):
                    return
            except LocalStackError:
                if not self._ready[program.name].is_set():
                    raise
            failures = 1 if clock() - began > FORGIVEN_AFTER_S else failures + 1
            if failures >= FIRST_ATTEMPTS and not self._ready[program.name].is_set():
                raise self._explain(program)
            self._mark(program.name, "restarting")
            self._status.nodes[program.name].restarts += 1
            await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S)) - 1])

    async def _run_once(self, program: Program) -> bool:
        """One start until its end; True when there is nothing more to run."""
        self._mark(program.name, "preparing")
        await program.prepare()
        running = self._running[program.name] = await Running.start(program, self._voices[program.name])
        self._mark(program.name, "starting", running.pid)
        if await self._becomes_ready(running):
            self._mark(program.name, "done" if isinstance(program.ready, Ends) else "ready", running.pid)
            self._ready[program.name].set()
        await asyncio.shield(running.ended)
        return isinstance(program.ready, Ends) and self._ready[program.name].is_set()

    async def _becomes_ready(self, running: Running) -> bool:
        program = running.program
        limit = None if isinstance(program.ready, Ends) else program.ready_within_s
        try:
            async with asyncio.timeout(limit):
                if not await running.ready():
                    return False
                await program.provision()
        except TimeoutError:
            await running.stop()
            return False
        return True

    def _explain(self, program: Program) -> LocalStackError:
        words = list(self._voice(program).last_words)
        known = program.diagnose(words)
        log = self._output.path(program.name)
        last = next((line.strip() for line in reversed(words) if line.strip()), "nothing")
        return known or ProgramFailedError(
            f"{program.name} does not start; its last words: {last[:300]} — read {log}, then run the command again."
        )

    def _voice(self, program: Program) -> Voice:
        return self._voices[program.name]

    async def _stop_one(self, name: str) -> None:
        for other in self._nodes.values():
            if name in other.needs:
                await self._gone[other.name].wait()
        if tender := self._tenders.get(name):
            tender.cancel()
            with contextlib.suppress(asyncio.CancelledError, LocalStackError):
                await tender
        if running := self._running.get(name):
            self._mark(name, "stopping", running.pid)
            await running.stop()
        self._mark(name, "stopped")
        self._gone[name].set()

    def _mark(self, name: str, state: State, pid: int = 0) -> None:
        node = self._status.nodes[name]
        if node.state == "failed":
            return  # what follows is only the end of what is left of it
        node.state, node.pid, node.born = state, pid, birth(pid) if pid else 0.0
        self._tell(name, state)
        with contextlib.suppress(OSError):  # a full disk must not stop what runs
            self._status.write(self._folder)
