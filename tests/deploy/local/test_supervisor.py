"""The supervisor starts by readiness, restarts, stops in reverse, explains, and leaves no orphan."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from deploy.local.errors import DataFolderError, LocalStackError, ProgramFailedError
from deploy.local.output import Output
from deploy.local.places import ROOT
from deploy.local.program import Ends, Node, Step
from deploy.local.status import State, read_status
from deploy.local.supervisor import Supervisor
from tests.deploy.local.small_programs import STAYS, python

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

Start = "Callable[..., Supervisor]"


@pytest.fixture
def story() -> list[tuple[str, State]]:
    return []


@pytest.fixture
async def supervise(tmp_path: Path, story: list[tuple[str, State]]) -> AsyncIterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def make(*nodes: Node) -> Supervisor:
        supervisor = Supervisor(
            nodes, Output(tmp_path / "logs"), tmp_path, lambda name, state: story.append((name, state))
        )
        made.append(supervisor)
        return supervisor

    yield make
    for supervisor in made:
        await supervisor.stop()


def pid_of(folder: Path, name: str) -> int:
    status = read_status(folder)
    assert status
    return status.nodes[name].pid


async def changes_to(folder: Path, name: str, wanted: Callable[[int], bool]) -> int:
    """The process id of a program once it is as wanted."""
    async with asyncio.timeout(10):
        while not wanted(pid := pid_of(folder, name)):
            await asyncio.sleep(0.02)
    return pid


async def test_starts_by_readiness_and_stops_in_reverse(supervise, story, tmp_path):
    supervisor = supervise(
        python("last", STAYS, tmp_path, needs=("middle",)),
        python("middle", STAYS, tmp_path, needs=("first",)),
        python("first", STAYS, tmp_path),
    )
    await supervisor.start()
    assert [name for name, state in story if state == "ready"] == ["first", "middle", "last"]
    assert story.index(("first", "ready")) < story.index(("middle", "preparing"))
    await supervisor.stop()
    assert [name for name, state in story if state == "stopped"] == ["last", "middle", "first"]


async def test_independent_programs_start_together(supervise, story, tmp_path):
    supervisor = supervise(*(python(name, STAYS, tmp_path) for name in ("one", "other")))
    await supervisor.start()
    firsts = [story.index((name, "starting")) for name in ("one", "other")]
    assert max(firsts) < min(story.index((name, "ready")) for name in ("one", "other"))


async def test_nobody_waits_for_what_is_behind_and_its_failure_is_told(supervise, story, tmp_path):
    supervisor = supervise(
        python("first", STAYS, tmp_path),
        python("slow", "import signal; signal.pause()", tmp_path, ready=Ends(), behind=True),
        python("after", STAYS, tmp_path, needs=("slow",), behind=True),
    )
    await supervisor.start()
    assert ("first", "ready") in story
    pid = await changes_to(tmp_path, "slow", bool)
    assert "after" not in [name for name, _ in story]
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        while ("slow", "restarting") not in story:
            await asyncio.sleep(0.02)


async def test_a_program_that_ends_is_started_again(supervise, tmp_path):
    supervisor = supervise(python("kept", STAYS, tmp_path))
    await supervisor.start()
    first = pid_of(tmp_path, "kept")
    os.kill(first, signal.SIGKILL)
    second = await changes_to(tmp_path, "kept", lambda pid: pid not in (0, first))
    status = read_status(tmp_path)
    assert psutil.pid_exists(second)
    assert status
    assert status.nodes["kept"].restarts == 1


async def test_a_start_that_fails_says_the_last_words_and_stops_the_rest(supervise, tmp_path, monkeypatch):
    monkeypatch.setattr("deploy.local.supervisor.PAUSES_S", (0.01,))
    supervisor = supervise(
        python("sound", STAYS, tmp_path),
        python("broken", "import sys; sys.exit('no such table')", tmp_path, needs=("sound",)),
    )
    with pytest.raises(
        ProgramFailedError, match=r"broken does not start; its last words: no such table — read .*broken\.log"
    ):
        await supervisor.start()
    status = read_status(tmp_path)
    assert status
    assert {name: node.state for name, node in status.nodes.items()} == {"sound": "stopped", "broken": "failed"}


async def test_a_known_fault_is_told_in_its_own_words(supervise, tmp_path, monkeypatch):
    monkeypatch.setattr("deploy.local.supervisor.PAUSES_S", (0.01,))

    def diagnose(words):
        return DataFolderError("The data folder is broken.") if "page 7" in words else None

    supervisor = supervise(python("server", "print('page 7')", tmp_path, diagnose=diagnose))
    with pytest.raises(DataFolderError, match="The data folder is broken"):
        await supervisor.start()


async def test_a_step_that_fails_ends_the_start(supervise, tmp_path):
    async def refuse() -> None:
        raise LocalStackError("The territory is refused.")

    supervisor = supervise(python("server", STAYS, tmp_path), Step(name="step", run=refuse, needs=("server",)))
    with pytest.raises(LocalStackError, match="The territory is refused"):
        await supervisor.start()
    assert pid_of(tmp_path, "server") == 0


async def test_one_thing_done_is_ready_when_it_ends(supervise, story, tmp_path):
    supervisor = supervise(
        python("after", STAYS, tmp_path, needs=("once",)),
        python("once", "print('done')", tmp_path, ready=Ends()),
    )
    await supervisor.start()
    assert story.index(("once", "done")) < story.index(("after", "preparing"))


async def test_a_silent_program_is_given_up_after_its_time(supervise, tmp_path, monkeypatch):
    monkeypatch.setattr("deploy.local.supervisor.PAUSES_S", (0.01,))
    supervisor = supervise(python("silent", "import signal; signal.pause()", tmp_path, ready_within_s=0.2))
    with pytest.raises(ProgramFailedError, match="silent does not start"):
        await supervisor.start()


async def test_who_does_not_listen_is_killed_with_its_children(supervise, tmp_path):
    deaf = (
        "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']);"
        "print('ready', child.pid, flush=True); signal.pause(); signal.pause()"
    )
    supervisor = supervise(python("deaf", deaf, tmp_path, grace_s=0.2))
    await supervisor.start()
    child = int((tmp_path / "logs" / "deaf.log").read_text().split()[1])
    processes = [psutil.Process(pid) for pid in (pid_of(tmp_path, "deaf"), child)]
    await supervisor.stop()
    assert psutil.wait_procs(processes, timeout=10)[1] == []


async def test_what_ended_long_ago_is_sent_nothing_at_the_stop(supervise, tmp_path, monkeypatch):
    """Its process number may be another program's by then; children that it left were ended with it."""
    child = "import os, sys, time; sys.stdout.close(); os.close(1); os.close(2); time.sleep(60)"
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {child!r}]).pid, flush=True)"
    supervisor = supervise(python("once", code, tmp_path, ready=Ends()))
    await supervisor.start()
    left = int((tmp_path / "logs" / "once.log").read_text())
    async with asyncio.timeout(5):
        while psutil.pid_exists(left) and psutil.Process(left).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)
    signalled = []
    monkeypatch.setattr(os, "killpg", lambda pid, _number: signalled.append(pid))
    await supervisor.stop()
    assert signalled == []


async def test_an_end_during_the_start_stops_at_once(supervise, story, tmp_path):
    end, announced = asyncio.Event(), []
    supervisor = supervise(python("slow", "import signal; print('not yet', flush=True); signal.pause()", tmp_path))
    running = asyncio.create_task(supervisor.run(end, lambda: announced.append("ready")))
    await changes_to(tmp_path, "slow", bool) if (tmp_path / "status.json").exists() else await asyncio.sleep(0.2)
    end.set()
    await asyncio.wait_for(running, 10)
    assert announced == []
    assert story[-1] == ("slow", "stopped")


def test_killed_supervisor_leaves_no_orphan(tmp_path):
    """kill -9 of the supervisor: the kernel ends its programs."""
    code = (
        "import asyncio, pathlib, sys\n"
        "from deploy.local.output import Output\n"
        "from deploy.local.supervisor import Supervisor\n"
        "from tests.deploy.local.small_programs import STAYS, python\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "async def main():\n"
        "    supervisor = Supervisor([python('kept', STAYS, folder)], Output(folder / 'logs'), folder)\n"
        "    await supervisor.run(asyncio.Event(), lambda: print('up', flush=True))\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout
        assert supervisor.stdout.readline() == "up\n"
        kept = psutil.Process(pid_of(tmp_path, "kept"))
        supervisor.kill()
        assert psutil.wait_procs([kept], timeout=10)[1] == []
