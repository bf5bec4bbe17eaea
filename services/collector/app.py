"""Wiring of an agent's process: settings, state, key, Kafka, signals."""

from __future__ import annotations

import asyncio
import fcntl
import resource
import signal
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.collector.agent import Agent
from services.collector.errors import SettingsError, StateInUseError, StateUnavailableError
from services.collector.publisher import Publisher
from services.collector.restating import Recounting
from services.collector.service import EstablishmentService
from services.collector.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime
    from pathlib import Path

    from services.collector.config import AgentSettings

_log = structlog.get_logger(__name__)


async def run_agent(settings: AgentSettings, *, until_idle: bool) -> None:
    """Run until the sources are idle, or until SIGTERM or SIGINT."""
    with _agent(settings) as (agent, _):
        await _run(agent, until_idle=until_idle)


async def restate(settings: AgentSettings, since: date) -> dict[str, list[int]]:
    """Count again what lies since a date and publish it; returns, by UAI, the known files that are gone."""
    now = settings.clock.now()
    with _agent(settings) as (agent, store):
        gone = {}
        for establishment in settings.establishments:
            service = EstablishmentService(establishment, store)
            restatement = max(int(settings.clock.real_now().timestamp()), store.restatement(service.number) + 1)
            recounting = Recounting(establishment, service.number, store, since=since, restatement=restatement)
            gone[establishment.uai] = recounting.recount(now)
        await _run(agent, until_idle=True)
    return gone


@contextmanager
def _agent(settings: AgentSettings) -> Iterator[tuple[Agent, Store]]:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash dump would hold the lines in hand
    key = read_key(settings.key)
    with open_state(settings.state, settings.clock.real_now()) as store:
        yield Agent(settings, store, Publisher(settings.bootstrap, settings.agent, key)), store


async def _run(agent: Agent, *, until_idle: bool) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, agent.stopping.set)
    try:
        await (agent.run_until_idle() if until_idle else agent.run())
    finally:
        await agent.close()


def read_key(path: Path) -> Ed25519PrivateKey:
    """The agent's private key; `SettingsError` when there is none."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise SettingsError(str(path), "key", f"cannot be read ({error.strerror})") from error
    except (ValueError, TypeError) as error:
        raise SettingsError(str(path), "key", f"is not an unencrypted PEM key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(str(path), "key", "is not an Ed25519 key")
    if path.stat().st_mode & 0o077:
        _log.warning("key_readable_by_others", file=str(path), todo=f"chmod 600 {path}")
    return key


@contextmanager
def open_state(path: Path, real_now: datetime) -> Iterator[Store]:
    """The state file, held by this process alone; a corrupt one is set aside and everything is counted again."""
    with _lock(path) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StateInUseError(f"{path} is held by another agent: stop it first") from None
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


def _sound_store(path: Path, real_now: datetime) -> Store:
    try:
        store = Store(path)
        fault = store.quick_check()
        if fault is None:
            return store
        store.close()
    except sqlite3.OperationalError as error:
        raise StateUnavailableError(f"{path} cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        fault = str(error)
    _set_aside(path, real_now, fault)
    return Store(path)


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
