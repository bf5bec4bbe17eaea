"""A data folder that its server refuses is told in one sentence, with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.local.errors import DataFolderError
from deploy.local.jars import jar_paths
from deploy.local.java import find_java
from deploy.local.kafka import KafkaPorts, kafka_program
from deploy.local.output import Output
from deploy.local.ports import free_port
from deploy.local.postgres import ROLES, local_cluster, postgres_program
from deploy.local.supervisor import Supervisor

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local.program import Program

pytestmark = pytest.mark.connected

PASSWORDS = dict.fromkeys(("postgres", *ROLES), "secret")


async def start(program: Program, folder: Path) -> None:
    supervisor = Supervisor([program], Output(folder / "logs"), folder)
    await supervisor.start()
    await supervisor.stop()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.local.supervisor.PAUSES_S", (0.01,))


@pytest.fixture
def reachable(tmp_path: Path) -> Path:
    """Pytest's folders are closed to the unprivileged user that PostgreSQL runs as; this one is open to pass through."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    return tmp_path


async def test_a_damaged_postgres_folder(reachable):
    cluster = local_cluster(reachable / "postgres", free_port(), PASSWORDS, {"fsync": "off"})
    await start(postgres_program(cluster), reachable)
    (cluster.data / "global" / "pg_control").write_bytes(b"not a control file")
    with pytest.raises(DataFolderError, match=r"PostgreSQL cannot use its data folder .* \(.*\); .*--forget"):
        await start(postgres_program(cluster), reachable)


async def test_a_postgres_folder_of_another_version(reachable):
    cluster = local_cluster(reachable / "postgres", free_port(), PASSWORDS, {"fsync": "off"})
    await start(postgres_program(cluster), reachable)
    (cluster.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(DataFolderError, match=r"incompatible with server|initialized by PostgreSQL version 17"):
        await start(postgres_program(cluster), reachable)


async def test_a_damaged_kafka_folder(kafka, tmp_path):
    """`kafka` is asked for only so that the jars are here."""
    broker = free_port()
    ports = KafkaPorts(broker, free_port((broker,)))
    program = kafka_program(tmp_path / "kafka", ports, java=find_java(), jars=jar_paths())
    (tmp_path / "kafka" / "data").mkdir(parents=True)
    (tmp_path / "kafka" / "data" / "meta.properties").write_text("node.id=7\nversion=1\ncluster.id=other\n")
    with pytest.raises(DataFolderError, match=r"Kafka cannot read its data folder .* \(.*\); .*--forget"):
        await start(program, tmp_path)
