"""Kafka and PostgreSQL for a bench: fresh, with the settings of the local stack (durable ones), gone at the end."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.local.jars import fetch_jars
from deploy.local.java import find_java
from deploy.local.kafka import KafkaPorts, fetch_kafka, kafka_program
from deploy.local.output import Output
from deploy.local.ports import free_port
from deploy.local.postgres import ROLES, Cluster, forget_cluster, local_cluster, postgres_program
from deploy.local.program import Program
from deploy.local.supervisor import Supervisor


@dataclass(frozen=True)
class Servers:
    """Where the two are. Each run takes a database and a prefix of topics of its own."""

    bootstrap: str
    cluster: Cluster

    @asynccontextmanager
    async def database(self, name: str) -> AsyncIterator[str]:
        """A fresh database with an empty schema `usage`; its URL as SQLAlchemy reads it."""
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE territoriale')
        await self._execute(f'GRANT CREATE ON DATABASE "{name}" TO usage')  # a peer makes its own schema
        try:
            yield self.cluster.url("usage", name)
        finally:
            await self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(plain(self.cluster.url("postgres", "postgres")))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def plain(url: str) -> str:
    """SQLAlchemy's URL as PostgreSQL's own clients read it."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


@asynccontextmanager
async def servers() -> AsyncIterator[Servers]:
    """Both, ready; their data is removed at the end."""
    folder = fresh_folder()
    kafka, bootstrap = await _kafka(folder)
    passwords = {role: secrets.token_urlsafe(12) for role in ("postgres", *ROLES)}
    cluster = local_cluster(folder / "postgres", free_port(), passwords, {})
    supervisor = Supervisor([kafka, postgres_program(cluster)], Output(folder / "logs"), folder)
    await supervisor.start()
    try:
        yield Servers(bootstrap, cluster)
    finally:
        await supervisor.stop()
        forget_cluster(folder / "postgres")
        shutil.rmtree(folder, ignore_errors=True)


def fresh_folder() -> Path:
    """A temporary folder that PostgreSQL, which does not run as root, can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="territoriale-bench-"))
    folder.chmod(0o711)
    return folder


async def _kafka(folder: Path) -> tuple[Program, str]:
    broker = free_port()
    ports = KafkaPorts(broker, free_port((broker,)))
    await fetch_kafka(lambda _: None, ports)
    return kafka_program(folder / "kafka", ports, java=find_java(), jars=fetch_jars()), f"127.0.0.1:{broker}"
