"""A stack in the background: the process that supervises it, and the pipe over which it reports to the command that started it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.local import errors
from deploy.local.errors import LocalStackError, ProgramFailedError
from deploy.local.life import Listener, end_at_signals, live
from deploy.local.places import ROOT
from deploy.local.request import Request
from deploy.local.stack import Site

GIVEN_UP_WITHIN_S = 60
"""A start that is interrupted has stopped everything by then."""

Hear = Callable[[dict[str, Any]], None]


def start_detached(request: Request, hear: Hear) -> dict[str, Any]:
    """Start the supervisor in a session of its own; returns `{"url", "token"}` once the stack is ready, else raises why it is not."""
    log = _log(request)
    reading, writing = os.pipe()
    with log.open("w") as output, os.fdopen(reading) as report:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.detached", str(writing), request.to_text()],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, pass_fds=(writing,), cwd=ROOT,
            start_new_session=True,
        )  # fmt: skip
        os.close(writing)
        try:
            return _listen(report, hear, log)
        except BaseException:
            _give_up(supervisor)
            raise


def _log(request: Request) -> Path:
    """Beside the state folder's other logs; it has to exist before the supervisor does."""
    from deploy.local.running import held

    with held(request.state):
        (request.state / "logs").mkdir(exist_ok=True)
    return request.state / "logs" / "supervisor.log"


def _listen(report: Any, hear: Hear, log: Path) -> dict[str, Any]:
    for line in report:
        said: dict[str, Any] = json.loads(line)
        if "ready" in said:
            return dict(said["ready"])
        if "error" in said:
            raise _error(said)
        hear(said)
    last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
    raise ProgramFailedError(f"The supervisor ended without a word ({' '.join(last)[:300]}); run the command again.")


def _error(said: dict[str, Any]) -> LocalStackError:
    kind = getattr(errors, said["kind"], LocalStackError)
    assert issubclass(kind, LocalStackError)
    return kind(said["error"])


def _give_up(supervisor: subprocess.Popen[bytes]) -> None:
    """Nothing stays behind a start that failed or was interrupted."""
    supervisor.send_signal(signal.SIGTERM)
    try:
        supervisor.wait(GIVEN_UP_WITHIN_S)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()


class Report:
    """The supervisor's end of the pipe. Until the stack is ready, its starter's death ends it; then it is on its own."""

    def __init__(self, handle: int) -> None:
        self._pipe = os.fdopen(handle, "w", buffering=1)
        os.set_inheritable(handle, False)  # noqa: FBT003 - its only parameter

    def send(self, **said: object) -> None:
        if self._pipe.closed:
            return  # the stack is ready and on its own
        try:
            self._pipe.write(json.dumps(said) + "\n")
        except OSError:
            return  # the starter is gone; `end_with_starter` sees it too

    def ready(self, site: Site, token: str | None) -> None:
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        self.send(ready={"url": site.url, "token": token})
        self.close()

    def end_with_starter(self, end: asyncio.Event) -> None:
        """The writing end of a pipe becomes readable when nobody is left at the other."""
        loop = asyncio.get_running_loop()

        def starter_is_gone() -> None:
            loop.remove_reader(self._pipe.fileno())
            end.set()

        loop.add_reader(self._pipe.fileno(), starter_is_gone)

    def close(self) -> None:
        try:
            self._pipe.close()
        except OSError:
            return


async def supervise(handle: int, request: Request) -> int:
    """The background process's whole life; returns its exit code."""
    report, end = Report(handle), end_at_signals()
    report.end_with_starter(end)
    listener = Listener(
        say=lambda sentence: report.send(say=sentence),
        changed=lambda name, state: report.send(name=name, state=state),
        awaiting=lambda names: report.send(awaiting=names),
        ready=report.ready,
    )
    try:
        await live(request, listener, end, show=None)
    except LocalStackError as error:
        report.send(error=str(error), kind=type(error).__name__)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(supervise(int(sys.argv[1]), Request.from_text(sys.argv[2]))))
