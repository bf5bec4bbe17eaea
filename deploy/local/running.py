"""Which stacks of this clone run, and how one is ended from outside, whatever has become of its supervisor."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import psutil

from deploy.local.errors import AlreadyRunningError, DataFolderError
from deploy.local.places import running_folder, short_name, stacks_folder
from deploy.local.postgres import clear_refuges, forget_cluster
from deploy.local.status import StackStatus, birth, is_alive, read_status

LOCK = "lock"

STOPPED_WITHIN_S = 60
"""A supervisor has stopped everything by then, each program having 20 s at most and few waiting for each other."""

OWN_ENTRIES = ("kafka", "valkey", "agent", "logs", "territory", "status.json", "secrets.json", "site.json", LOCK)
"""What a stack writes in its state folder; nothing else in an operator's folder is touched."""


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack as it entered itself when it was started. `ephemeral`: its state folder goes with it."""

    state: str
    supervisor: int
    born: float
    ephemeral: bool
    url: str

    @property
    def folder(self) -> Path:
        return Path(self.state)

    @property
    def alive(self) -> bool:
        return is_alive(self.supervisor, self.born)

    @property
    def status(self) -> StackStatus | None:
        return read_status(self.folder)


def enter(state: Path, *, ephemeral: bool, url: str) -> None:
    """Called by the supervisor of a stack, about itself."""
    entry = RunningStack(str(state), os.getpid(), birth(os.getpid()), ephemeral, url)
    running_folder().mkdir(parents=True, exist_ok=True)
    _entry(state).write_text(json.dumps(asdict(entry)))


def leave(state: Path) -> None:
    _entry(state).unlink(missing_ok=True)


def _entry(state: Path) -> Path:
    return running_folder() / f"{short_name(state)}.json"


def running_stacks() -> list[RunningStack]:
    """Every stack that entered itself and still runs; entries of dead supervisors are swept away with what they left."""
    sweep()
    return [stack for stack in _entries() if stack.alive]


def _entries() -> list[RunningStack]:
    found = []
    for path in sorted(running_folder().glob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            found.append(RunningStack(**json.loads(path.read_text())))
    return found


def sweep() -> None:
    """After a supervisor was killed: end what it left, forget what was not to be kept."""
    with _one_at_a_time():
        for stack in _entries():
            if not stack.alive:
                end_leftovers(stack.folder)
                _clear(stack)
    clear_refuges()


def clear_old_logs() -> None:
    """A start that failed leaves its logs to be read; the next one clears them away."""
    with _one_at_a_time():
        for folder in stacks_folder().glob("*"):
            with contextlib.suppress(AlreadyRunningError), _locked(folder):
                end_leftovers(folder)
                forget(folder)


def _clear(stack: RunningStack) -> None:
    if stack.ephemeral:
        forget(stack.folder)
    leave(stack.folder)


def end_leftovers(state: Path) -> None:
    """Programs of a supervisor that is gone: on Linux the kernel has ended them, elsewhere this does."""
    status = read_status(state)
    if status is None or status.alive:
        return
    nodes = [node for node in status.nodes.values() if node.pid and is_alive(node.pid, node.born)]
    left = [psutil.Process(node.pid) for node in nodes]
    for process in left:
        process.terminate()
    for process in psutil.wait_procs(left, timeout=20)[1]:
        process.kill()


def stop_stack(stack: RunningStack) -> None:
    """Ask its supervisor, insist if need be, and leave nothing."""
    with contextlib.suppress(psutil.NoSuchProcess):
        supervisor = psutil.Process(stack.supervisor)
        supervisor.terminate()
        if psutil.wait_procs([supervisor], timeout=STOPPED_WITHIN_S)[1]:
            supervisor.kill()
            supervisor.wait()
    end_leftovers(stack.folder)
    _clear(stack)


def forget(state: Path, *, keep_logs: bool = False) -> None:
    """Remove what a stack has written, and the folder if nothing else is in it."""
    forget_cluster(state / "postgres")
    for name in OWN_ENTRIES:
        path = state / name
        if not (keep_logs and name == "logs"):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        state.rmdir()


@contextlib.contextmanager
def held(state: Path) -> Iterator[None]:
    """Make a state folder and be its only stack; the lock goes with the process, however it ends."""
    try:
        with _one_at_a_time():
            state.mkdir(parents=True, exist_ok=True)
            lock = _locked(state)
    except OSError as error:
        raise DataFolderError(
            f"{error.filename or state} cannot be written ({error.strerror}); give --state, or TERRITORIALE_LOCAL, a folder that can."
        ) from error
    with lock:
        yield


def _locked(state: Path) -> TextIO:
    lock = (state / LOCK).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise AlreadyRunningError(
            f"A stack runs on {state} already; use it, or stop it with `territoriale local down --state {state}`."
        ) from None
    return lock


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Between making a folder and holding it nobody may sweep it away."""
    running_folder().mkdir(parents=True, exist_ok=True)
    with (running_folder() / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
