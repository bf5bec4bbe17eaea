"""Fixtures of the whole suite: real servers on free ports, started once per run (tests/support/servers.py)."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from deploy.local.ports import free_port as _free_port
from tests.support import servers
from tests.support.grouping import pytest_collection_modifyitems
from tests.support.servers import Database, PostgresServer

__all__ = ["pytest_collection_modifyitems"]

settings.register_profile("suite", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("suite"), max_examples=1000)
settings.load_profile("suite")
"""No test asserts a time: a busy machine is no fault of the product. `pytest --hypothesis-profile=thorough` looks longer."""

gc.set_threshold(100_000, 20, 20)
"""Many short-lived objects beside a million that stay: at the default, much of the time goes to looking through these."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-test-data", action="store_true", help="write tests/data/expected again, from the oracle alone"
    )


@pytest.fixture(scope="session")
def update_test_data(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-test-data"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """The run's owner stops the servers; should it be killed, their keepers see that and stop by themselves."""
    if not servers.WORKER:
        servers.stop_servers()
    servers.let_go()


@pytest.fixture(scope="session")
def kafka() -> str:
    """Bootstrap address of a real Kafka. Shared by all tests: give topics and groups names of your own."""
    return servers.kafka_bootstrap()


@pytest.fixture(scope="session")
def valkey() -> str:
    """URL of a real Valkey, with a database of this worker's own."""
    return servers.valkey_url()


@pytest.fixture(scope="session")
def postgres() -> PostgresServer:
    """A real PostgreSQL 18; `with postgres.database() as database:` gives one of your own."""
    return PostgresServer(servers.server("postgres"))


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    """A fresh database for one test."""
    with postgres.database() as fresh:
        yield fresh


@pytest.fixture(scope="module")
def module_database(postgres: PostgresServer) -> Iterator[Database]:
    """A database for the tests of one module, where migrating for each would be slow."""
    with postgres.database() as fresh:
        yield fresh


@pytest.fixture
def identity_database(database: Database) -> str:
    """SQLAlchemy URL for identity's role in a fresh database; its schema exists and is empty."""
    return database.identity


@pytest.fixture
def usage_database(database: Database) -> str:
    """SQLAlchemy URL for the aggregator's role in a fresh database; its schema exists and is empty."""
    return database.usage


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that finds ports of 127.0.0.1 on which nothing listens."""
    return _free_port
