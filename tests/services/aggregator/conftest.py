"""Fixtures of the aggregator's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.aggregator.stage import Agent, RegistryServer, Stage, registry


@pytest.fixture
def stage(kafka: str, usage_database: str) -> Iterator[Stage]:
    """One establishment, one agent granted everything, an empty database and topics of its own."""
    agent = Agent()
    with RegistryServer(registry([agent])).serving() as identity:
        yield Stage(kafka, usage_database, identity, agent=agent)
