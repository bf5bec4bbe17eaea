"""The state file of an agent: held by one process, checked when it is opened, set aside when it is corrupt."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import structlog

from services.collector import process
from services.collector.errors import StateInUseError, StateUnavailableError
from services.collector.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

_log = structlog.get_logger(__name__)


@contextmanager
def open_state(path: Path, real_now: datetime) -> Iterator[Store]:
    """The state file, held by this process alone; a corrupt one is set aside and everything is counted again."""
    with _lock(path) as lock:
        if not process.lock(lock):
            raise StateInUseError(f"{path} is held by another agent: stop it first")
        store = _sound_store(path, real_now)
        try:
            yield store
        finally:
            store.close()


def _lock(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(path.name + ".lock").open("w")
    except OSError as error:
        raise StateUnavailableError(f"{path} cannot be written: {error}") from error


def _private_store(path: Path) -> Store:
    """It holds digests of people and the secret that keys them: nobody else on the machine reads it."""
    try:
        path.touch(mode=0o600)
        path.chmod(0o600)
    except OSError as error:
        raise StateUnavailableError(f"{path} cannot be opened: {error}") from error
    return Store(path)


def _sound_store(path: Path, real_now: datetime) -> Store:
    try:
        store = _private_store(path)
        fault = store.quick_check()
        if fault is None:
            return store
        store.close()
    except sqlite3.OperationalError as error:
        raise StateUnavailableError(f"{path} cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        fault = str(error)
    _set_aside(path, real_now, fault)
    return _private_store(path)


def _set_aside(path: Path, real_now: datetime, fault: str) -> None:
    stamp = real_now.strftime("%Y%m%dT%H%M%SZ")
    for suffix in ("", "-wal", "-shm"):
        damaged = path.with_name(path.name + suffix)
        if damaged.exists():
            damaged.rename(path.with_name(f"{path.name}.corrupt-{stamp}{suffix}"))
    _log.error(
        "state_corrupt",
        file=str(path),
        fault=fault,
        todo="nothing: it was set aside and the sources are counted again; delete the copy once it is of no use",
    )
