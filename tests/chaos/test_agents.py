"""Whatever befalls an agent (killed at each step, told to stop, its disk full, its state lost, old or doubled), its numbers come back."""

from __future__ import annotations

import asyncio
import resource
import shutil
import signal
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.agent_process import POINTS, REACHED, heard, start
from tests.chaos.scene import PATIENCE_S
from tests.support.agents import finished
from tests.support.territories import uai as uai_of

if TYPE_CHECKING:
    from tests.chaos.scene import Scene

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("chaos")]

ENDS_WITHIN_S = 15
"""What every process has promised for SIGTERM."""


def occurrence(faults: Scene, point: str) -> int:
    """Some passage that is certainly met: there are more commits than establishments, and a message for each that has grown."""
    return faults.draw.randint(1, 20 if "commit" in point else 3)


@pytest.mark.fault(row=1)
async def test_killed_at_each_step(faults: Scene):
    """Before and after its state is committed, before and after Kafka has a message, before and after that is noted."""
    for point in POINTS:
        faults.grow()
        process = start(faults.agent, point, occurrence(faults, point), "die")
        finished(process, -signal.SIGKILL)
    faults.agent.run()
    await faults.expect_truth("an agent killed at each step")


@pytest.mark.fault(row=2)
async def test_told_to_stop_with_work_in_hand(faults: Scene):
    """In the middle of reading and in the middle of publishing: 0, soon, and the next run goes on."""
    for point in ("before-state-commit", "before-publishing"):
        faults.grow()
        process = start(faults.agent, point, 1, "tell")
        await heard(process, REACHED)
        process.terminate()
        async with asyncio.timeout(ENDS_WITHIN_S):
            await asyncio.to_thread(finished, process)
    faults.agent.run()
    await faults.expect_truth("an agent told to stop")


@pytest.mark.fault(row=5)
async def test_a_full_disk_is_told_and_outlived(faults: Scene):
    """No byte fits: it says so and loses nothing; with room again it goes on from where it stood.

    A limit of the process stands for a disk: the kernel refuses the write in the same place (EFBIG for ENOSPC), on any machine.
    """
    faults.grow()
    before = positions(faults.memory)
    size = faults.memory.stat().st_size
    process = faults.agent.start()
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, 0))
    said = await heard(process, "state_unavailable")
    assert "cannot be" in said
    process.kill()
    process.communicate()
    assert positions(faults.memory) == before
    assert faults.memory.stat().st_size == size
    faults.agent.run()
    assert positions(faults.memory) != before
    await faults.expect_truth("a full disk")


def positions(memory: Path) -> list[tuple[Any, ...]]:
    """How far each file was read, by a state file."""
    connection = sqlite3.connect(f"{memory.as_uri()}?mode=ro", uri=True)
    try:
        return connection.execute("select id, position from file order by id").fetchall()
    finally:
        connection.close()


@pytest.mark.fault(row=6)
async def test_a_state_that_is_no_database(faults: Scene):
    """It is set aside, and all is counted again from the sources."""
    faults.memory.write_bytes(b"not a database" * 1000)
    faults.grow()
    faults.agent.run()
    assert list(faults.memory.parent.glob("*.corrupt-*"))
    await faults.expect_truth("a lost state")


@pytest.mark.fault(row=7)
async def test_restored_from_an_old_disk(faults: Scene, tmp_path: Path):
    """It reads again what it had forgotten, and says the same states."""
    faults.remember(tmp_path / "disk")
    faults.grow()
    faults.agent.run()
    faults.restore(tmp_path / "disk")
    faults.grow()
    faults.agent.run()
    await faults.expect_truth("a restored agent")


@pytest.mark.fault(row=7)
async def test_two_copies_of_one_agent(faults: Scene, tmp_path: Path):
    """A cloned machine; both say what is true, so the greater of both is, too."""
    shutil.copytree(faults.memory.parent, tmp_path / "clone")
    clone = replace(faults.agent, settings=tmp_path / "clone" / faults.agent.settings.name)
    faults.grow()
    await asyncio.gather(asyncio.to_thread(faults.agent.run), asyncio.to_thread(clone.run))
    faults.grow()
    clone.run()
    faults.agent.run()
    await faults.expect_truth("two copies of one agent")


@pytest.mark.fault(row=8)
@pytest.mark.parametrize("off", [timedelta(hours=-20), timedelta(hours=20)], ids=["behind", "ahead"])
async def test_a_clock_that_is_off(faults: Scene, off: timedelta):
    """Most of a day behind or ahead: the windows are the platform's, and what the agent says of tomorrow is flagged, not shown."""
    faults.grow()
    replace(faults.agent, now=faults.now + off).run()
    faults.grow()
    faults.agent.run()
    await faults.expect_truth(f"a clock that was off by {off}")


# --- sources that are gone: what was known stays, and says that it is not whole

GROWING = uai_of(9710006)
"""Reads one file, whose beginning the next test takes away."""
ALL_OF_IT = "2025-09-01"


@pytest.mark.fault(row=6)
@pytest.mark.fault(row=30)
async def test_enrolled_again_when_the_older_sources_are_gone(faults: Scene):
    """A new machine in the middle of the year finds the last lines only: the maximum keeps what was known, never above the truth.

    Once the sources are back, a restatement makes everything exact again.
    """
    for _ in range(3):
        faults.grow()
    faults.agent.run()
    await faults.expect_truth("the sources as they were")
    shown = [cell["value"] for cell in line_of(faults, GROWING)]
    journal = faults.feed.folder / GROWING / "journal.ndjson"
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[len(lines) // 2 :]))
    for path in faults.memory.parent.glob(f"{faults.memory.name}*"):
        path.unlink()
    faults.agent.run()
    async with asyncio.timeout(PATIENCE_S):
        while not any(cell.get("state") == "partial" for cell in line_of(faults, GROWING)):
            await asyncio.sleep(0.25)
    assert [cell["value"] for cell in line_of(faults, GROWING)] == shown
    journal.write_bytes(whole)
    settings = str(faults.agent.settings)
    restated = faults.stack.command("agent", "restate", "--settings", settings, "--since", ALL_OF_IT)
    assert restated.returncode == 0, restated.stderr
    await faults.expect_truth("a restatement once the sources are back")


def line_of(faults: Scene, uai: str) -> list[dict[str, Any]]:
    """People of the school year, which is one report: connections come from days, whose cuts stay theirs."""
    answer = faults.stack.json("/tables/connexions.individus", window="current-year")
    (line,) = (row["cells"] for row in answer["rows"] if row["uai"] == uai)
    found: list[dict[str, Any]] = line
    return found
