"""Stacks enter themselves; one state folder has one stack; what is swept away is ours alone."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from deploy.local import running
from deploy.local.diagnosis import disk_full, refuse_full_disk
from deploy.local.errors import AlreadyRunningError, DataFolderError, DiskFullError
from deploy.local.output import LogFile, Output
from deploy.local.places import running_folder, stacks_folder
from deploy.local.postgres import clear_refuges
from deploy.local.running import clear_old_logs, enter, forget, held, leave, running_stacks, sweep

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TERRITORIALE_LOCAL", str(tmp_path / "local"))


def enter_as_dead(state: Path, *, ephemeral: bool) -> None:
    """An entry of a supervisor that is gone: its process id belongs to nobody, or to somebody born later."""
    enter(state, ephemeral=ephemeral, url="http://127.0.0.1:1")
    (path,) = running_folder().glob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "born": 1.0}))


def test_a_running_stack_is_found_until_it_leaves(tmp_path):
    enter(tmp_path, ephemeral=False, url="http://127.0.0.1:1")
    (stack,) = running_stacks()
    assert (stack.folder, stack.supervisor, stack.alive) == (tmp_path, os.getpid(), True)
    leave(tmp_path)
    assert running_stacks() == []


def test_a_process_number_used_again_is_another_process(tmp_path):
    enter(tmp_path, ephemeral=False, url="")
    (stack,) = running_stacks()
    assert not replace(stack, born=stack.born - 5).alive


def test_one_stack_per_state_folder(tmp_path):
    with (
        held(tmp_path / "state"),
        pytest.raises(AlreadyRunningError, match=r"runs on .*state already.*local down"),
        held(tmp_path / "state"),
    ):
        pass


def test_sweeping_forgets_ephemeral_stacks_of_dead_supervisors(tmp_path):
    state = stacks_folder() / "dead"
    (state / "kafka").mkdir(parents=True)
    enter_as_dead(state, ephemeral=True)
    sweep()
    assert not state.exists()
    assert list(running_folder().glob("*.json")) == []


def test_sweeping_keeps_what_was_to_be_kept(tmp_path):
    state = tmp_path / "kept"
    (state / "kafka").mkdir(parents=True)
    enter_as_dead(state, ephemeral=False)
    sweep()
    assert (state / "kafka").exists()


def test_sweeping_ends_leftover_programs(tmp_path):
    """As on macOS after a kill -9 of the supervisor."""
    with psutil.Popen(["/bin/sh", "-c", "read line"], stdin=-1) as left:
        node = {"state": "ready", "pid": left.pid, "born": left.create_time(), "restarts": 0}
        (tmp_path / "status.json").write_text(json.dumps({"supervisor": 1, "born": 1.0, "nodes": {"kafka": node}}))
        enter_as_dead(tmp_path, ephemeral=False)
        sweep()
        assert not psutil.pid_exists(left.pid)


def test_logs_of_a_failed_start_stay_until_the_next_one():
    state = stacks_folder() / "failed"
    (state / "logs").mkdir(parents=True)
    (state / "kafka").mkdir()
    forget(state, keep_logs=True)
    sweep()
    assert [path.name for path in state.iterdir()] == ["logs"]
    clear_old_logs()
    assert not state.exists()


def test_a_held_folder_is_not_cleared():
    state = stacks_folder() / "starting"
    with held(state):
        clear_old_logs()
        assert state.exists()


def test_forgetting_touches_nothing_else_in_the_folder(tmp_path):
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    (tmp_path / "secrets.json").touch()
    (tmp_path / "diary.txt").touch()
    forget(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("deploy.local.diagnosis.LEAST_FREE", 1 << 62)
    with pytest.raises(DiskFullError, match=r"has \d+ MB left .* --state"):
        refuse_full_disk(tmp_path / "not" / "there")
    assert not (tmp_path / "not").exists()


def test_a_disk_that_fills_up_is_recognised():
    assert disk_full(["fine", "write: No space left on device"], "Kafka")
    assert disk_full(["fine"], "Kafka") is None


def test_a_log_file_starts_afresh_when_it_is_full(tmp_path):
    log = LogFile(tmp_path / "a.log", largest=20)
    for number in range(6):
        log.write(f"line {number}")
    log.close()
    assert (tmp_path / "a.log.1").read_text().splitlines() == ["line 3", "line 4", "line 5"]
    assert (tmp_path / "a.log").read_text() == ""


def test_each_program_has_its_name_on_the_console(tmp_path, capsys):
    output = Output(tmp_path, lambda name, line: name == "query" or "error" in line)
    for name in ("query", "gateway"):
        voice = output.voice(name)
        voice.hear("hello")
        voice.hear("an error")
        voice.close()
    shown = [line.split("│") for line in capsys.readouterr().out.splitlines()]
    assert [(name.strip().split("m")[-1].strip(), said.strip()) for name, said in shown] == [
        ("query", "hello"), ("query", "an error"), ("gateway", "an error"),
    ]  # fmt: skip
    assert (tmp_path / "gateway.log").read_text() == "hello\nan error\n"


def test_entries_that_cannot_be_read_are_passed_over(tmp_path):
    running_folder().mkdir(parents=True)
    (running_folder() / "broken.json").write_text("{")
    assert running.running_stacks() == []


def test_refuges_go_with_the_folders_they_belong_to(tmp_path, monkeypatch):
    """PostgreSQL's data lie in a refuge where root's clone is closed to the unprivileged user."""
    monkeypatch.setattr("deploy.local.postgres._reachable_by_all", lambda: tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    for name in ("kept", "gone"):
        (tmp_path / f"territoriale-postgres-{name}").mkdir()
        (tmp_path / f"territoriale-postgres-{name}" / "home").write_text(str(tmp_path / name / "postgres"))
    (tmp_path / "kept").mkdir()
    clear_refuges()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "territoriale-postgres-kept"]


def test_a_folder_that_cannot_be_made_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderError, match=r"cannot be written .* give --state"), held(tmp_path / "file" / "state"):
        pass
