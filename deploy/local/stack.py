"""The graph of one local stack: servers, services, and how each finds the others."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.local.credentials import Credentials
from deploy.local.jars import jar_paths
from deploy.local.java import find_java
from deploy.local.kafka import KafkaPorts, kafka_program
from deploy.local.places import ROOT
from deploy.local.postgres import Cluster, local_cluster, postgres_program
from deploy.local.program import Answers, Node, Program
from deploy.local.valkey import valkey_program, valkey_url

SERVERS = {"kafka": ("TERRITORIALE_KAFKA",), "valkey": ("TERRITORIALE_REDIS",),
           "postgres": ("TERRITORIALE_IDENTITY_DATABASE", "TERRITORIALE_USAGE_DATABASE")}  # fmt: skip
"""What is not started where the operator's environment already has its address: all variables of a line are set."""

SERVICES = {
    "identity": ("services.identity", ("kafka", "postgres", "valkey")),
    "aggregator": ("services.aggregator", ("kafka", "postgres", "identity")),
    "query": ("services.aggregator.query", ("postgres", "identity")),
    "gateway": ("services.gateway", ("kafka", "valkey", "identity")),
}
"""Module and needs of each HTTP service. Identity goes first: everybody asks it, and registrations wait for it."""

CADENCE_S = 300.0
"""Between two publications of an agent, as in production; its first reading is published at once."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a stack lives, on which ports, with which secrets; `cadence_s` is what its agents are told."""

    folder: Path
    ports: Mapping[str, int]
    credentials: Credentials
    cadence_s: float = CADENCE_S

    @property
    def url(self) -> str:
        """The public address: the gateway's."""
        return f"http://127.0.0.1:{self.ports['gateway']}"

    @property
    def kafka(self) -> str:
        return os.environ.get("TERRITORIALE_KAFKA") or f"127.0.0.1:{self.ports['kafka']}"

    def cluster(self) -> Cluster:
        secrets = self.credentials
        passwords = {"postgres": secrets.postgres, "identity": secrets.identity, "usage": secrets.usage}
        return local_cluster(self.folder / "postgres", self.ports["postgres"], passwords, {})


def brought(server: str) -> bool:
    """Whether the operator's environment already has this server."""
    return all(os.environ.get(variable) for variable in SERVERS[server])


def ports_in_use(ports: Mapping[str, int]) -> dict[str, int]:
    """The ports that this stack will listen on: not those of servers that the operator brought."""
    absent = {part for server in SERVERS if brought(server) for part in (server, f"{server}_controller")}
    return {part: port for part, port in ports.items() if part not in absent}


def service_environment(site: Site, service: str = "") -> dict[str, str]:
    """What a service or an operator's command reads; addresses given by the operator win."""
    ours = {
        "TERRITORIALE_KAFKA": site.kafka,
        "TERRITORIALE_REDIS": valkey_url(site.ports["valkey"], site.credentials.valkey),
        "TERRITORIALE_IDENTITY_DATABASE": _database(site, "identity", site.credentials.identity),
        "TERRITORIALE_USAGE_DATABASE": _database(site, "usage", site.credentials.usage),
        "TERRITORIALE_IDENTITY_URL": f"http://127.0.0.1:{site.ports['identity']}",
        "TERRITORIALE_QUERY_URL": f"http://127.0.0.1:{site.ports['query']}",
        "TERRITORIALE_INTERNAL_TOKEN": site.credentials.internal,
        "TERRITORIALE_AGENT_KAFKA": site.kafka,
        "TERRITORIALE_AGENT_CADENCE_SECONDS": str(site.cadence_s),
    }
    given = {name: os.environ[name] for names in SERVERS.values() for name in names if os.environ.get(name)}
    port = {"TERRITORIALE_PORT": str(site.ports[service])} if service else {}
    return {**ours, **given, **port}


def _database(site: Site, role: str, password: str) -> str:
    return f"postgresql+asyncpg://{role}:{password}@127.0.0.1:{site.ports['postgres']}/territoriale"


def python_environment(site: Site, service: str = "") -> dict[str, str]:
    """The operator's environment (clock, log format, proxies…) with the stack's addresses.

    Output is unbuffered, so that logs are live. Compiled modules are kept even where the environment says otherwise (images of
    containers often do): without them each service compiles 1,500 files again at each start, 5 s instead of 1.7.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "PYTHONUNBUFFERED": "1", **service_environment(site, service)}


def stack_nodes(site: Site) -> list[Node]:
    """Servers that are not brought, and every service."""
    return without_absent([*_servers(site), *(_service(site, name) for name in SERVICES)])


def without_absent(nodes: Sequence[Node]) -> list[Node]:
    """Nobody waits for a server that is not ours to start."""
    names = {node.name for node in nodes}
    return [replace(node, needs=tuple(name for name in node.needs if name in names)) for node in nodes]


def _servers(site: Site) -> list[Node]:
    nodes: list[Node] = []
    if not brought("kafka"):
        ports = KafkaPorts(site.ports["kafka"], site.ports["kafka_controller"])
        nodes.append(kafka_program(site.folder / "kafka", ports, java=find_java(), jars=jar_paths()))
    if not brought("postgres"):
        nodes.append(postgres_program(site.cluster()))
    if not brought("valkey"):
        nodes.append(
            valkey_program(site.folder / "valkey", port=site.ports["valkey"], password=site.credentials.valkey)
        )
    return nodes


def _service(site: Site, name: str) -> Program:
    module, needs = SERVICES[name]
    return Program(
        name=name,
        command=(sys.executable, "-m", module),
        ready=Answers(f"http://127.0.0.1:{site.ports[name]}/health/ready"),
        environment=python_environment(site, name),
        folder=ROOT,
        needs=needs,
    )
