"""One running process: started on a leash, listened to, waited for, ended with its whole group."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.output import Voice
from deploy.local.program import Answers, Ends, Owner, Program, Says

LONGEST_LINE = 1 << 20
"""Bytes; a longer line is cut. Stack traces are many lines, so only binary rubbish reaches this."""

ASK_AGAIN_S = 0.1
"""Between two questions whether an HTTP service is ready yet; nothing announces it, so it has to be asked."""


def on_leash(command: Sequence[str], stop: signal.Signals, owner: Owner | None = None) -> tuple[str, ...]:
    """The command that starts `command` so that it cannot outlive this process."""
    leash = Path(__file__).with_name("leash.py")
    who = (str(owner.user), str(owner.group)) if owner else ("-1", "-1")
    return (sys.executable, "-I", "-S", str(leash), str(os.getpid()), str(int(stop)), *who, *command)


def bare_environment() -> dict[str, str]:
    """What third-party servers get: no PG…, KAFKA_… or JAVA_… variable of the operator's shell may change them.

    Their messages stay English, because readiness and faults are read from them; file names may hold any character.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "TZ") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8"}


async def run_to_end(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path, owner: Owner | None = None
) -> tuple[int, str]:
    """Exit code and output of a short command; it is killed if the caller gives up."""
    process = await asyncio.create_subprocess_exec(
        *on_leash(command, signal.SIGKILL, owner), stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, env=environment,
        cwd=folder, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        _signal_group(process.pid, signal.SIGKILL)
        raise
    return process.returncode or 0, output.decode(errors="replace")


class Running:
    """A started program; `ended` resolves to its exit code when it and its output are over."""

    def __init__(self, program: Program, process: Process, voice: Voice) -> None:
        self.program, self.pid = program, process.pid
        self._process, self._voice = process, voice
        self._said = asyncio.Event()
        self.ended = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, program: Program, voice: Voice) -> Running:
        process = await asyncio.create_subprocess_exec(
            *on_leash(program.command, program.stop_signal, program.owner), stdin=DEVNULL, stdout=PIPE, stderr=STDOUT,
            env=program.environment, cwd=program.folder, start_new_session=True, limit=LONGEST_LINE,
        )  # fmt: skip
        return cls(program, process, voice)

    async def ready(self) -> bool:
        """Wait until it is ready; False if it ended before, or with another code than 0."""
        if isinstance(self.program.ready, Ends):
            return await asyncio.shield(self.ended) == 0
        signs = asyncio.create_task(self._signs_of_readiness())
        try:
            await asyncio.wait((signs, self.ended), return_when=asyncio.FIRST_COMPLETED)
            return signs.done()
        finally:
            signs.cancel()
            await asyncio.wait((signs,))

    async def _signs_of_readiness(self) -> None:
        match self.program.ready:
            case Says():
                await self._said.wait()
            case Answers(url):
                while not await answers(url):  # noqa: ASYNC110 - another process's readiness has no event
                    await asyncio.sleep(ASK_AGAIN_S)
            case _:
                return

    async def stop(self) -> None:
        """Ask it to end, then insist, and leave nothing of its process group behind."""
        if not self.ended.done():
            _signal_group(self.pid, self.program.stop_signal)
            await asyncio.wait((self.ended,), timeout=self.program.grace_s)
        if not self.ended.done():
            _signal_group(self.pid, signal.SIGKILL)
        await self.ended

    async def _listen(self) -> int:
        assert self._process.stdout
        while line := await self._read_line(self._process.stdout):
            text = line.decode(errors="replace").rstrip()
            self._voice.hear(text)
            if isinstance(self.program.ready, Says) and self.program.ready.pattern.search(text):
                self._said.set()
        code = await self._process.wait()
        _signal_group(self.pid, signal.SIGKILL)  # at once: later this number may name somebody else's group
        return code

    async def _read_line(self, stream: asyncio.StreamReader) -> bytes:
        try:
            return await stream.readline()
        except ValueError:
            return b"(a line longer than 1 MB was cut)\n"


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        return


async def answers(url: str, bearer: str = "") -> bool:
    """Whether a local HTTP service answers 200 or 204; hand-made because the supervisor starts before it has loaded a client."""
    parts = urlsplit(url)
    token = f"Authorization: Bearer {bearer}\r\n" if bearer else ""
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{token}Connection: close\r\n\r\n"
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(request.encode())
                status = (await reader.readline()).split()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return status[1:2] in ([b"200"], [b"204"])
