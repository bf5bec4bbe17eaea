"""The aggregator as a process: ends when told, dies at any step, freezes past its session, and the sheets are the same."""

from __future__ import annotations

import asyncio
import signal
from datetime import date

import httpx
import pytest

from chassis.kafka import lag, partitions_of
from services.aggregator.errors import StoreUnavailableError
from services.aggregator.handlers import GROUP
from tests.services.aggregator.process import POINTS, started
from tests.services.aggregator.stage import PEOPLE, TOKEN, UAI, WEB, Stage, report, until

pytestmark = pytest.mark.connected


async def _ready(port: int) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/health/ready")).is_success
        except httpx.TransportError:
            return False


async def test_told_to_stop_it_exits_with_0(stage: Stage):
    async with started(stage) as (process, port):
        await until(lambda: _ready(port))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            document = (await client.get("/asyncapi.json")).json()
            refused = await client.get("/internal/counters")
            counters = await client.get("/internal/counters", headers={"Authorization": f"Bearer {TOKEN}"})
        assert any("usage.reported.v1" in name for name in document["channels"])
        assert (refused.status_code, counters.status_code) == (401, 200)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_any_step_it_converges(stage: Stage, point: str):
    first = stage.agent.message(
        report("2026-03-16", {WEB[0]: 3}), report("2026-03-01", {PEOPLE[0]: 2}, family="people", grain="month")
    )
    async with started(stage, point) as (process, _):
        await until(lambda: _has_topic(stage))
        await stage.send(first, b"poison")
        assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGKILL
    async with started(stage) as (_, port):
        await until(lambda: _ready(port))
        await stage.drained()
        assert {key[1]: cells for key, cells in (await stage.sheets()).items()} == {
            "day": {WEB[0]: 3},
            "month": {WEB[0]: 3, PEOPLE[0]: 2},
            "school_year": {WEB[0]: 3},
        }
        assert {letter["dlq-cause"] for letter in await stage.dead_letters()} == {"malformed"}


async def _has_topic(stage: Stage) -> bool:
    return bool(await partitions_of(stage.kafka, stage.topic))


async def test_a_replica_frozen_past_its_session_changes_nothing(stage: Stage):
    """The others take its partitions over; what it does when it wakes up is not acknowledged, and merges to the same."""
    async with started(stage) as (frozen, port), started(stage) as (_, other):
        await until(lambda: _ready(port))
        await until(lambda: _ready(other))
        messages = [
            stage.agent.message(report(f"2026-03-{day:02d}", {WEB[0]: day, WEB[1]: n}))
            for n in (1, 2, 3)
            for day in range(1, 17)
        ]
        await stage.send(*messages[:20])
        frozen.send_signal(signal.SIGSTOP)
        await stage.send(*messages[20:])
        await stage.drained()
        expected = await stage.image()
        frozen.send_signal(signal.SIGCONT)
        await stage.send(*messages)
        await stage.drained()
        assert await stage.image() == expected
        month = (await stage.sheets())[UAI, "month", date(2026, 3, 1)]
        assert month == {WEB[0]: sum(range(1, 17)), WEB[1]: 3 * 16}


async def test_without_postgresql_it_stops_with_a_clear_code_and_acknowledges_nothing(stage: Stage):
    async with started(stage, "without-patience") as (process, port):
        await until(lambda: _ready(port))
        await stage.query("alter table usage.sheets rename to sheets_away")
        await stage.send(stage.agent.message(report("2026-03-16", {WEB[0]: 3})))
        assert await asyncio.wait_for(process.wait(), 20) == StoreUnavailableError.exit_code
    assert await lag(stage.kafka, stage.prefix + GROUP, stage.topic) == 1
    await stage.query("alter table usage.sheets_away rename to sheets")
    async with started(stage) as (_, port):
        await stage.drained()
        assert len(await stage.sheets()) == 3
