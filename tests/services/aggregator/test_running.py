"""The aggregator's life, without its servers."""

from __future__ import annotations

import pytest

from services.aggregator import running
from services.aggregator.config import AggregatorSettings
from services.aggregator.errors import StartError
from services.aggregator.running import Aggregator

NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:1/none"


async def test_a_start_that_fails_of_anything_ends_the_process(monkeypatch: pytest.MonkeyPatch):
    """It stayed alive, consumed nothing, said nothing, and nobody started it again."""

    async def fail(_: str) -> None:
        raise LookupError("a migration that this version does not know")

    ended: list[bool] = []
    monkeypatch.setattr(running, "prepare_database", fail)
    aggregator = Aggregator(
        AggregatorSettings(
            usage_database=NOWHERE, kafka="127.0.0.1:1", identity_url="http://127.0.0.1:1", internal_token="x"
        ),
        end=lambda: ended.append(True),
    )
    await aggregator.run()
    assert ended == [True]
    assert isinstance(aggregator.stopped_by, StartError)
    assert not await aggregator.ready()
