"""Crashes, full disks, corrupt files: the state is that of the last commit, and the numbers come back (proofs 1, 5, 6, 7)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from services.collector.errors import StateInUseError, StateUnavailableError
from services.collector.state import open_state
from services.collector.store import Store
from tests.services.collector.school import NOW, School, connection, heartbeat

LINES = [connection(f"2026-11-{day:02}T08:00:00+01:00", f"u{day % 7}") for day in range(1, 20) for _ in range(30)]


class CrashError(Exception):
    """As if the process had been killed here."""


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.collector.files.BLOCK", 2_000)
    monkeypatch.setattr("services.collector.reading.COMMIT_BYTES", 6_000)


OFTEN = ("add_gathered", "save_source", "save_file", "save_people", "add", "raise_to")
STEPS = [(step, when) for step in OFTEN for when in (1, 4)] + [("save_heartbeats", 1), ("drop_days", 1)]


@pytest.mark.parametrize(("step", "when"), STEPS)
@pytest.mark.usefixtures("small_steps")
def test_a_crash_at_any_step_changes_no_number(make_school, monkeypatch, step: str, when: int) -> None:
    whole, crashed = make_school(), make_school()
    calls, plain = [], getattr(Store, step)

    def crashing(self: Store, *args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if self is crashed.store and len(calls) == when:
            raise CrashError
        return plain(self, *args, **kwargs)

    for school in (whole, crashed):
        school.write(*LINES, heartbeat("2026-11-19T09:00:00+01:00"))
    with monkeypatch.context() as patch:
        patch.setattr(Store, step, crashing)
        with pytest.raises(CrashError):
            crashed.read()
    crashed.restart()
    assert crashed.read().states() == whole.read().states()


@pytest.mark.usefixtures("small_steps")
def test_a_full_disk_is_told_keeps_the_old_state_and_recovers(school: School) -> None:
    school.write(*LINES[:60])
    school.read()
    before = school.states()
    pages = school.store._connection.execute("PRAGMA page_count").fetchone()[0]
    school.store._connection.execute(f"PRAGMA max_page_count = {pages}")
    school.write(*(connection("2026-11-19T10:00:00+01:00", f"new-{n}") for n in range(3000)))
    with pytest.raises(StateUnavailableError, match="full"):
        school.read()
    assert {key: state for key, state in school.states().items() if key in before}.keys() == before.keys()
    school.store._connection.execute("PRAGMA max_page_count = 1000000")
    school.write(*LINES[60:])
    assert school.read().counts("people", "day", "2026-11-19")["eleve.web.any"] == 3001


def test_a_corrupt_state_is_set_aside_and_counted_again(school: School) -> None:
    school.write(*LINES)
    before = school.read().states()
    school.store.close()
    path = school.folder / "agent.sqlite"
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(40_000))
    with open_state(path, NOW):
        pass
    assert [each.name for each in school.folder.glob("*.corrupt-*")] == ["agent.sqlite.corrupt-20261120T120000Z"]
    school.start()
    assert school.read().states() == before


def test_a_file_that_is_no_state_at_all_is_set_aside(tmp_path) -> None:
    path = tmp_path / "agent.sqlite"
    path.write_text("not a database " * 1000)
    with open_state(path, NOW) as store:
        assert store.quick_check() is None


def test_a_place_where_nothing_can_be_written_is_told(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnavailableError, match="cannot be written"), open_state(tmp_path / "file" / "state", NOW):
        pass


def test_nobody_else_on_the_machine_reads_the_state_or_what_stays_of_it(tmp_path) -> None:
    """It holds digests of people and the secret that keys them: together they answer who was there."""
    (tmp_path / "agent.sqlite").write_bytes(b"not a database at all" * 1000)
    (tmp_path / "agent.sqlite").chmod(0o644)
    with open_state(tmp_path / "agent.sqlite", NOW) as store, store.transaction():
        store.establishment("0750654D")
        files = [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
        assert len(files) == 4, "the damaged one, the state, its journal and index"
        assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}


def test_two_agents_on_one_state_are_refused(tmp_path) -> None:
    with (
        open_state(tmp_path / "agent.sqlite", NOW),
        pytest.raises(StateInUseError),
        open_state(tmp_path / "agent.sqlite", NOW),
    ):
        pass


def test_a_state_restored_from_an_old_copy_reads_again_what_it_lacks(school: School) -> None:
    school.write(*LINES[:200])
    school.read()
    school.store.close()
    shutil.copy(school.folder / "agent.sqlite", school.folder / "snapshot")
    school.start()
    school.write(*LINES[200:])
    before = school.read().states()
    school.store.close()
    for path in school.folder.glob("agent.sqlite*"):
        path.unlink()
    (school.folder / "snapshot").rename(school.folder / "agent.sqlite")
    school.start()
    assert school.read().states() == before


_READER = """
import sys
from pathlib import Path
from tests.services.collector.school import School
from services.collector import files, reading
from services.collector.store import Store

files.BLOCK, reading.COMMIT_BYTES = 2000, 4000
saved = Store.save_file

def save_file(self, *values):
    saved(self, *values)
    print("reading", flush=True)
    sys.stdin.readline()

Store.save_file = save_file
School(Path(sys.argv[1])).read()
"""


def test_kill_nine_in_the_middle_of_reading(school: School, make_school) -> None:
    """Each reader goes on from a step when a line of its input lets it: however late it is killed, it has got no further."""
    lines = LINES * 4
    whole = make_school()
    whole.write(*lines)
    school.write(*lines)
    school.store.close()
    for steps in (1, 3, 2):
        reader = subprocess.Popen(
            [sys.executable, "-c", _READER, str(school.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert reader.stdin
        assert reader.stdout
        reader.stdin.write("\n" * (steps - 1))
        reader.stdin.flush()
        assert [reader.stdout.readline() for _ in range(steps)] == ["reading\n"] * steps
        reader.kill()
        reader.communicate()
    school.start()
    assert school.store.position(1) > 0
    assert school.read().states() == whole.read().states()
