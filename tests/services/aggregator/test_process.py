"""The aggregator as a process: ends when told, dies at any step, freezes past its session, and the sheets are the same."""

from __future__ import annotations

import asyncio
import signal

import httpx
import pytest

from tests.services.aggregator.process import started
from tests.services.aggregator.stage import TOKEN, Stage, until

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
