"""What is past its time leaves a real PostgreSQL, and nothing else does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from chassis.clock import Clock
from contracts.registry import Convention
from services.aggregator import store
from services.aggregator.registry import RegistryClient
from services.aggregator.retention import Retention
from services.aggregator.tables import DAY
from tests.services.aggregator.stage import (
    HOURLY,
    OTHER_UAI,
    PEOPLE,
    TOKEN,
    UAI,
    WEB,
    Stage,
    rebuilt,
    registry,
    report,
    until,
)

pytestmark = pytest.mark.connected


async def test_what_is_past_its_time_is_purged_and_its_sheets_are_frozen(stage: Stage):
    pages = [report("2025-03-10", {WEB[0]: 3}), report("2024-12-02T10:00+01:00", {HOURLY[0]: 3}, grain="hour")]
    stage.now = datetime(2025, 3, 1, tzinfo=UTC)
    stage.identity.snapshot = registry([stage.agent], uais=(UAI, OTHER_UAI))
    async with stage.running():
        stage.now = datetime(2025, 3, 11, tzinfo=UTC)
        await stage.send(stage.agent.message(pages[1]))
        await stage.drained()
    async with stage.running():
        await until(lambda: _empty(stage, "select 1 from usage.hours"))
        await stage.send(
            stage.agent.message(pages[0], report("2025-03-01", {PEOPLE[0]: 2}, family="people", grain="month"))
        )
        await stage.drained()
    stage.now = datetime(2026, 9, 2, tzinfo=UTC)
    async with stage.running():
        await until(lambda: _empty(stage, f"select 1 from usage.reports where grain = {DAY}"))
        before = await stage.sheets()
        assert before == {
            (UAI, "month", date(2025, 3, 1)): {WEB[0]: 3, PEOPLE[0]: 2},
            (UAI, "school_year", date(2024, 9, 1)): {WEB[0]: 3},
        }
        late = report("2025-03-01", {PEOPLE[0]: 9}, family="people", grain="month")
        await stage.send(stage.agent.message(late, pages[0]))
        await stage.drained()
        assert await stage.sheets() == before
        assert (await stage.outcomes())["expired.day"] == 1
        assert (await stage.outcomes())["refused.frozen"] == 1
        assert await rebuilt(stage) == 0
        assert await stage.sheets() == before
    ended = [Convention("test", UAI, "consent", valid_to=stage.now - timedelta(days=60))]
    stage.identity.snapshot = registry([stage.agent], version=3, conventions=ended)
    async with stage.running():
        await until(lambda: _empty(stage, "select 1 from usage.sheets union all select 1 from usage.reports"))
        assert await stage.image() == []


async def test_years_before_the_agents_are_taken_since_2010_and_stay(stage: Stage):
    """Imports of 2010 to 2015 were refused as too old, and a year without months was purged after ten."""
    imported = [
        report(f"{year}-09-01", {WEB[0]: year}, grain="school_year", restatement=7) for year in (2009, 2010, 2015)
    ]
    month = report("2016-09-01", {PEOPLE[0]: 2}, family="people", grain="month")
    async with stage.running():
        await stage.send(stage.agent.message(*imported, month))
        await stage.drained()
        assert await stage.outcomes() == {"accepted": 3, "expired.school_year": 1}
    stage.now = datetime(2030, 9, 2, tzinfo=UTC)
    stage.identity.snapshot = registry([stage.agent], version=2)
    async with stage.running():
        await until(lambda: _empty(stage, "select 1 from usage.reports where grain = 2"))
        kept = await stage.query("select start, frozen from usage.sheets where grain = 3 order by start")
        assert [row for row in kept if row[0].year < 2016] == [(date(2010, 9, 1), False), (date(2015, 9, 1), False)]
        again = report("2015-09-01", {WEB[0]: 3}, grain="school_year", restatement=8)
        await stage.send(stage.agent.message(again))
        await stage.drained()
        assert (await stage.sheets())[UAI, "school_year", date(2015, 9, 1)] == {WEB[0]: 3}
        assert await stage.query("select highest from usage.restatements") == [(8,)]


async def test_nothing_is_purged_by_a_registry_that_may_be_old(stage: Stage):
    async with stage.running():
        await stage.send(stage.agent.message(report("2026-03-16", {WEB[0]: 3})))
        await stage.drained()
    ended = [Convention("test", UAI, "consent", valid_to=stage.now - timedelta(days=60))]
    stage.identity.snapshot = registry([stage.agent], conventions=ended)
    client = RegistryClient(stage.identity.url, TOKEN)
    async with store.pool(stage.database) as pool:
        retention = Retention(pool, client, Clock(stage.now))
        await client.refresh()
        stage.identity.refuses = True
        assert not await client.refresh()
        await retention.run()
        assert len(await stage.sheets()) == 3
        stage.identity.refuses = False
        await client.refresh()
        await retention.run()
        assert await stage.sheets() == {}
    await client.close()


async def _empty(stage: Stage, sql: str) -> bool:
    return await stage.query(sql) == []
