"""Servers and services killed, frozen, locked, out of connections, told to stop: readers get figures or 503, never 500, never wrong ones."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from redis.asyncio import Redis

from deploy.local.places import ROOT
from deploy.local.ports import free_port
from deploy.local.stack import SERVICES, python_environment
from deploy.local.valkey import valkey_url
from tests.chaos.agent_process import REACHED, heard, start
from tests.chaos.asking import GONE, readers
from tests.chaos.scene import PATIENCE_S, SEED
from tests.support.agents import finished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.chaos.asking import Answers
    from tests.chaos.scene import Scene

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("chaos")]

ENDS_WITHIN_S = 15
"""What every service has promised for SIGTERM."""
TABLE = "/api/v1/tables/connexions.authentifiees?window=current-year"
FIGURES_OR_AWAY = {200, 503}
IN_HAND = 6
"""Answers that were under way: one or two of each reader."""


def assert_never_wrong(answers: Answers, *also: str) -> None:
    assert set(answers.statuses) <= {*FIGURES_OR_AWAY, *also}, f"seed {SEED}: {dict(answers.statuses)}"


# --- killed


@pytest.mark.fault(row=1)
@pytest.mark.parametrize("name", ["aggregator", "query", "identity", "gateway"])
async def test_a_service_killed_while_agents_report_and_readers_ask(faults: Scene, name: str):
    faults.grow()
    async with readers(faults) as answers:
        running = asyncio.create_task(asyncio.to_thread(faults.agent.run))
        restarts = faults.kill(name)
        await faults.until_ready(name, restarts)
        await running
    assert_never_wrong(answers, *([GONE] if name == "gateway" else []))
    await faults.expect_truth(f"kill -9 of {name}")


@pytest.mark.fault(row=12)
async def test_postgresql_killed_in_the_middle_of_transactions(faults: Scene):
    """The aggregator is seen waiting inside its transaction when every server process dies: rolled back, redelivered, merged once."""
    faults.grow()
    async with readers(faults) as answers:
        async with faults.locked("usage.sheets") as holder:
            running = asyncio.create_task(asyncio.to_thread(faults.agent.run))
            await faults.until_waiting(holder, "aggregator")
            restarts = faults.kill("postgres")
            await faults.until_ready("postgres", restarts)
        await running
    assert_never_wrong(answers)
    await faults.expect_truth("a crash of PostgreSQL")


@pytest.mark.fault(row=13)
async def test_a_locked_table_and_an_exhausted_pool(faults: Scene):
    """More readers than the pool has connections, all of which wait for a lock: some are told 503 in the end, none 500."""
    faults.grow()
    async with readers(faults, number=16) as answers:
        async with faults.locked("usage.sheets", "usage.hours", "usage.reports") as holder:
            running = asyncio.create_task(asyncio.to_thread(faults.agent.run))
            await faults.until_waiting(holder, "query")
            async with asyncio.timeout(PATIENCE_S):
                while not answers.statuses[503]:
                    await asyncio.sleep(0.1)
        await running
    assert_never_wrong(answers)
    await faults.expect_truth("a locked table")


@pytest.mark.fault(row=13)
async def test_postgresql_refuses_connections_and_ends_those_there_are(faults: Scene):
    """As when an administrator changes a limit, or other programs have taken all connections."""
    faults.grow()
    async with readers(faults) as answers:
        async with faults.database() as root:
            await root.execute("alter role usage connection limit 0")
            await root.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'usage'")
            running = asyncio.create_task(asyncio.to_thread(faults.agent.run))
            try:
                async with asyncio.timeout(PATIENCE_S):
                    while not answers.statuses[503]:
                        await asyncio.sleep(0.05)
            finally:
                await root.execute("alter role usage connection limit -1")
        await running
    assert_never_wrong(answers)
    await faults.expect_truth("refused connections")


@pytest.mark.fault(row=13)
async def test_a_postgresql_that_answers_nothing_for_a_while(faults: Scene):
    faults.grow()
    async with readers(faults) as answers:
        with faults.frozen("postgres"):
            before = answers.statuses.total()
            await asyncio.to_thread(faults.agent.run)
            assert answers.statuses.total() - before <= IN_HAND, "nobody was answered meanwhile"
    assert_never_wrong(answers)
    await faults.expect_truth("a frozen PostgreSQL")


@pytest.mark.fault(row=3)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["clean", "killed"])
async def test_the_broker_restarted_while_agents_publish(faults: Scene, number: signal.Signals):
    """Producers and consumers find their way back; readers notice nothing."""
    faults.grow()
    restarts = faults.node("kafka")["restarts"]
    async with readers(faults) as answers:
        process = start(faults.agent, "before-publishing", 1, "tell")
        await heard(process, REACHED)
        faults.signal("kafka", number)
        await faults.until_ready("kafka", restarts + 1)
        await asyncio.to_thread(finished, process)
    assert set(answers.statuses) == {200}, answers.statuses
    await faults.expect_truth(f"a broker restarted by {number.name}")
    await until_told(faults, f"newcomer-{number.value}")


async def until_told(faults: Scene, agent: str) -> None:
    """A change of the registry reaches Kafka, by a producer that has known it before the fault."""
    faults.operator("admin", "agent", "add", agent)
    async with asyncio.timeout(PATIENCE_S), faults.database() as root:
        while await root.fetchval("select count(*) from identity.outbox"):
            await asyncio.sleep(0.1)


# --- what holds nothing that cannot be lost


@pytest.mark.fault(row=14)
async def test_valkey_frozen_flushed_and_killed(faults: Scene):
    """Rights are asked of identity, limits counted in memory: readers notice nothing."""
    faults.grow()
    async with readers(faults) as answers:
        with faults.frozen("valkey"):
            await answers.one_more()
            faults.agent.run()
        redis = Redis.from_url(valkey_url(faults.site.ports["valkey"], faults.site.credentials.valkey))
        await redis.flushall()
        await redis.aclose()
        await answers.one_more()
        restarts = faults.kill("valkey")
        await answers.one_more()
        await faults.until_ready("valkey", restarts)
    assert set(answers.statuses) == {200}, answers.statuses
    await faults.expect_truth("Valkey away")


# --- told to stop


@asynccontextmanager
async def service(
    faults: Scene, name: str, **environment: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Another process of a service beside the stack's own, ready; with its address."""
    port = free_port(faults.site.ports.values())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", SERVICES[name][0], cwd=ROOT, stderr=asyncio.subprocess.DEVNULL,
        env={**python_environment(faults.site), "TERRITORIALE_NOW": faults.now.isoformat(), "TERRITORIALE_PORT": str(port),
             **environment},
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(trust_env=False) as client:
            while not await _is_ready(client, url):
                await asyncio.sleep(0.1)
        yield process, url
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/health/ready")).is_success
    except httpx.TransportError:
        return False


async def ends_well(process: asyncio.subprocess.Process) -> None:
    assert await asyncio.wait_for(process.wait(), ENDS_WITHIN_S) == 0


async def until_deaf(url: str) -> None:
    """It has heard that it is to stop: no new connection is taken."""
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(trust_env=False) as client:
        while await _is_ready(client, url):
            await asyncio.sleep(0.05)


@pytest.mark.fault(row=2)
@pytest.mark.parametrize("stuck", [False, True], ids=["finished", "cut off"])
async def test_told_to_stop_with_requests_in_hand(faults: Scene, *, stuck: bool):
    """What is in hand is finished where it can be, and holds nobody up where it cannot: 0 within 15 s either way."""
    async with (
        service(faults, "identity") as (identity, identity_url),
        service(faults, "query", TERRITORIALE_IDENTITY_URL=identity_url) as (query, query_url),
        service(faults, "gateway", TERRITORIALE_IDENTITY_URL=identity_url, TERRITORIALE_QUERY_URL=query_url) as (
            gateway,
            url,
        ),
        httpx.AsyncClient(
            headers={"Authorization": f"Bearer {faults.stack.token}"}, trust_env=False, timeout=60
        ) as client,
    ):
        live = asyncio.create_task(_listen(client, f"{url}/api/v1/live"))
        async with faults.locked("usage.sheets") as holder:
            asked = asyncio.create_task(client.get(url + TABLE))
            await faults.until_waiting(holder, "query")
            for process in (gateway, query, identity):
                process.send_signal(signal.SIGTERM)
            await until_deaf(url)
            if stuck:
                await asyncio.gather(*map(ends_well, (gateway, query, identity)))
        answers = await asyncio.gather(asked, live, return_exceptions=True)
        await asyncio.gather(*map(ends_well, (gateway, query, identity)))
    if not stuck:
        assert isinstance(answers[0], httpx.Response)
        assert answers[0].status_code == httpx.codes.OK


async def _listen(client: httpx.AsyncClient, url: str) -> None:
    async with client.stream("GET", url) as stream:
        async for _ in stream.aiter_lines():
            pass
