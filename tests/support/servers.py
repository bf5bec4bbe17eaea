"""Real Kafka, PostgreSQL and Valkey for tests: started once per run when first asked for, shared by xdist's workers, gone after."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import psutil

ROOT = Path(__file__).resolve().parents[2]

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")

FOLDERS = "territoriale-tests-"

STOPPED_WITHIN_S = 30
"""A keeper has stopped its server by then; it is killed after."""


def run_owner() -> int:
    """The process whose end ends everything: pytest itself, or the one that started this xdist worker."""
    return os.getppid() if WORKER else os.getpid()


def run_folder() -> Path:
    """One folder per run of pytest, found alike by every worker. Open to passing through: PostgreSQL is not run as root."""
    owner = psutil.Process(run_owner())
    folder = Path(tempfile.gettempdir()) / f"{FOLDERS}{owner.pid}-{int(owner.create_time() * 100)}"
    folder.mkdir(mode=0o711, exist_ok=True)
    return folder


@contextmanager
def _alone(folder: Path, part: str) -> Iterator[None]:
    with (folder / f"{part}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def server(part: str) -> dict[str, object]:
    """The address of one kept server; the first worker that asks starts it, the others wait for that."""
    folder = run_folder()
    known = folder / f"{part}.json"
    with _alone(folder, part):
        if not known.exists():
            known.touch(mode=0o600)
            known.write_text(json.dumps(_start(part, folder)))
    address: dict[str, object] = json.loads(known.read_text())
    return address


_KEEPERS: list[subprocess.Popen[str]] = []
"""Referred to for ever, because they outlive the worker that started them."""


def _start(part: str, folder: Path) -> dict[str, object]:
    with (folder / f"{part}.err").open("w") as errors:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.keeper", part, str(folder / part), str(run_owner())],
            stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
    _KEEPERS.append(keeper)
    assert keeper.stdout
    with keeper.stdout as output:
        said = output.readline()
    if not said or "error" in json.loads(said):
        raise RuntimeError(f"{part} did not start: {said or (folder / f'{part}.err').read_text()}")
    return {**json.loads(said), "keeper": keeper.pid}


def stop_servers() -> None:
    """Called by the run's owner when all tests are over."""
    folder = run_folder()
    keepers = [_keeper(known) for known in folder.glob("*.json")]
    for keeper in filter(None, keepers):
        keeper.send_signal(signal.SIGTERM)
    _, left = psutil.wait_procs(list(filter(None, keepers)), timeout=STOPPED_WITHIN_S)
    for keeper in left:
        keeper.kill()
    shutil.rmtree(folder)
    _clear_after_dead_runs()


def _clear_after_dead_runs() -> None:
    """A run that was killed left its folder to its keepers, which remove what is theirs; once they are gone, the rest goes."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDERS}*"):
        owner = int(folder.name.removeprefix(FOLDERS).partition("-")[0])
        if not psutil.pid_exists(owner) and not any(map(_keeper, folder.glob("*.json"))):
            shutil.rmtree(folder, ignore_errors=True)


def let_go() -> None:
    """Called at the end of each process of the run: keepers are stopped by now, or go on for the other workers."""
    for keeper in _KEEPERS:
        keeper.poll()
        keeper.returncode = keeper.returncode or 0  # else Python warns that somebody should wait for it


def _keeper(known: Path) -> psutil.Process | None:
    try:
        return psutil.Process(json.loads(known.read_text())["keeper"])
    except (ValueError, KeyError, psutil.NoSuchProcess):
        return None


@dataclass(frozen=True)
class Database:
    """One database of its own: addresses of the roles `identity` and `usage`, whose schemas exist and are empty."""

    name: str
    identity: str
    usage: str
    admin: str


class PostgresServer:
    """The kept PostgreSQL; makes and drops databases through psql, so that it serves tests of both colours."""

    def __init__(self, address: dict[str, object]) -> None:
        self._address = address

    @contextmanager
    def database(self, template: str = "territoriale") -> Iterator[Database]:
        """A fresh database, dropped afterwards even if something still holds it open."""
        name = f"test_{uuid4().hex[:12]}"
        self._sql(f'CREATE DATABASE "{name}" TEMPLATE {template}')
        try:
            yield Database(name, *(self._url(role, name) for role in ("identity", "usage", "postgres")))
        finally:
            self._sql(f'DROP DATABASE "{name}" WITH (FORCE)')

    def dump(self, url: str) -> bytes:
        """A backup of the database at this address."""
        name = url.rsplit("/", 1)[1]
        return subprocess.run(self._tool("pg_dump", name), check=True, env=self._root, stdout=subprocess.PIPE).stdout

    @contextmanager
    def restored(self, dump: bytes) -> Iterator[Database]:
        """What a backup holds, in a database of its own."""
        with self.database(template="template0") as fresh:
            restoring = self._tool("psql", fresh.name, "-X", "-q", "-v", "ON_ERROR_STOP=1")
            subprocess.run(restoring, check=True, env=self._root, input=dump, stdout=subprocess.DEVNULL)
            yield fresh

    def _url(self, role: str, database: str) -> str:
        return f"postgresql+asyncpg://{role}:{self._passwords[role]}@127.0.0.1:{self._address['port']}/{database}"

    @cached_property
    def _passwords(self) -> dict[str, str]:
        passwords = self._address["passwords"]
        assert isinstance(passwords, dict)
        return passwords

    @property
    def _root(self) -> dict[str, str]:
        return {"PGPASSWORD": self._passwords["postgres"]}

    def _tool(self, name: str, database: str, *options: str) -> list[str]:
        where = ["-h", "127.0.0.1", "-p", str(self._address["port"]), "-U", "postgres", "-d", database]
        return [f"{self._address['binaries']}/{name}", *where, *options]

    def _sql(self, statement: str) -> None:
        command = self._tool("psql", "postgres", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement)
        subprocess.run(command, check=True, env=self._root)


def kafka_bootstrap() -> str:
    return f"127.0.0.1:{server('kafka')['port']}"


def valkey_url() -> str:
    """Each xdist worker has one of Valkey's 16 databases to itself."""
    address = server("valkey")
    number = int(WORKER.removeprefix("gw") or 0) % 16
    return f"redis://:{address['password']}@127.0.0.1:{address['port']}/{number}"
