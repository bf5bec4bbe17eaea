"""The graph of a stack: what the operator brings is not started, and nobody waits for it."""

from __future__ import annotations

import pytest

from deploy.local.credentials import credentials
from deploy.local.demonstration import demonstration_nodes
from deploy.local.jars import jar_paths
from deploy.local.java import find_java
from deploy.local.kafka import KafkaPorts, kafka_program
from deploy.local.ports import fixed_ports
from deploy.local.program import Ends, Program
from deploy.local.reading import Reading, reading_nodes
from deploy.local.request import Request
from deploy.local.stack import Site, ports_in_use, service_environment, stack_nodes

BROUGHT = {
    "TERRITORIALE_KAFKA": "kafka.example:9092",
    "TERRITORIALE_REDIS": "redis://redis.example/0",
    "TERRITORIALE_IDENTITY_DATABASE": "postgresql+asyncpg://identity:x@db.example/console",
    "TERRITORIALE_USAGE_DATABASE": "postgresql+asyncpg://usage:x@db.example/console",
}


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path, fixed_ports(), credentials(tmp_path))


def test_everything_is_started_where_nothing_is_brought(site):
    names = [node.name for node in stack_nodes(site)]
    assert names == ["kafka", "postgres", "valkey", "identity", "aggregator", "query", "gateway"]
    assert ports_in_use(site.ports) == site.ports


def test_servers_that_are_brought_are_used(site, monkeypatch):
    for name, value in BROUGHT.items():
        monkeypatch.setenv(name, value)
    nodes = stack_nodes(site)
    assert [node.name for node in nodes] == ["identity", "aggregator", "query", "gateway"]
    assert {need for node in nodes for need in node.needs} == {"identity"}
    assert set(ports_in_use(site.ports)) == {"identity", "aggregator", "query", "gateway"}
    assert BROUGHT.items() <= service_environment(site).items()


def test_half_a_database_is_not_brought(site, monkeypatch):
    monkeypatch.setenv("TERRITORIALE_USAGE_DATABASE", BROUGHT["TERRITORIALE_USAGE_DATABASE"])
    assert "postgres" in [node.name for node in stack_nodes(site)]


def test_every_need_is_a_node_and_none_waits_for_itself(site):
    nodes = [*stack_nodes(site), *demonstration_nodes(site)]
    done: set[str] = set()
    while ready := [node for node in nodes if node.name not in done and set(node.needs) <= done]:
        done.update(node.name for node in ready)
    assert done == {node.name for node in nodes}


def test_a_territory_is_read_to_its_end_before_anybody_is_told(site, tmp_path):
    sources, visible = (
        node for node in reading_nodes(site, Reading(tmp_path, follow=False)) if node.name != "registration"
    )
    assert isinstance(sources, Program)
    assert (sources.ready, sources.command[-1]) == (Ends(), "--until-idle")
    assert "sources" in visible.needs


def test_a_demonstration_seen_before_answers_without_waiting_for_the_agent(site):
    def first_reading() -> bool:
        return "sources" in [node.name for node in demonstration_nodes(site)]

    assert first_reading()
    (site.folder / "agent").mkdir()
    (site.folder / "agent" / "seen").touch()
    assert not first_reading()


def test_secrets_are_made_once_and_differ(tmp_path):
    first = credentials(tmp_path)
    assert credentials(tmp_path) == first
    assert len({first.postgres, first.identity, first.usage, first.valkey, first.internal, first.token}) == 6
    assert len(first.token) >= 32
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_request_survives_its_journey_to_the_supervisor(tmp_path):
    for request in (Request(tmp_path), Request(tmp_path, tmp_path / "é", follow=True, ephemeral=True)):
        assert Request.from_text(request.to_text()) == request


async def test_kafka_is_told_of_folders_in_the_letters_that_java_reads(tmp_path, monkeypatch):
    async def formatted(*_: object, **__: object) -> tuple[int, str]:
        return 0, ""

    monkeypatch.setattr("deploy.local.kafka.run_to_end", formatted)
    folder = tmp_path / "état 1 𝄞"
    await kafka_program(folder, KafkaPorts(1, 2), java=find_java(), jars=jar_paths()).prepare()
    text = (folder / "server.properties").read_text("ascii")
    assert r"\u00e9tat 1 \ud834\udd1e/data" in text
    assert "listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2" in text
