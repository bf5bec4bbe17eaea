"""Guessing codes costs time, to the network that guesses; mistakes of a hand cost none."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import pytest
from httpx import ASGITransport, AsyncClient
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from contracts.registry import Grant
from services.gateway.app import create_app
from services.gateway.errors import TooManyAttemptsError
from services.gateway.penalties import FORGOTTEN_SECONDS, FREE_ATTEMPTS, Penalties, delay_after, network_of
from tests.services.gateway.conftest import Platform
from tests.services.identity.documents import A
from tests.support.fleet import FleetAgent


@given(st.integers(0, 10_000))
def test_the_delay_grows_and_never_locks_for_good(refused: int):
    assert 0 <= delay_after(refused) <= delay_after(refused + 1) <= FORGOTTEN_SECONDS
    assert (delay_after(refused) == 0) is (refused < FREE_ATTEMPTS)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("testclient", "unknown"),
        (None, "unknown"),
    ],
)
def test_addresses_of_one_site_wait_together(address, network):
    assert network_of(address) == network


@pytest.mark.connected
@pytest.mark.parametrize("away", [False, True])
async def test_a_network_waits_and_another_does_not(valkey: str, free_port, away: bool):
    clock = [1_000_000.0]
    redis = Redis.from_url(f"redis://127.0.0.1:{free_port()}/0" if away else valkey)
    if not away:
        await redis.flushdb()
    penalties = Penalties(redis, now=lambda: clock[0])
    for _ in range(FREE_ATTEMPTS):
        await penalties.count("here")
    with pytest.raises(TooManyAttemptsError) as refused:
        await penalties.count("here")
    assert refused.value.extra["retry_after"] == 1
    await penalties.count("elsewhere")
    clock[0] += 1
    await penalties.count("here")
    clock[0] += 1
    with pytest.raises(TooManyAttemptsError):
        await penalties.count("here")
    clock[0] += FORGOTTEN_SECONDS
    await penalties.count("here")
    await redis.aclose()


@pytest.mark.connected
@pytest.mark.parametrize("away", [False, True])
async def test_guesses_made_at_once_do_not_all_pass(valkey: str, free_port, away: bool):
    clock = [1_000_000.25]
    redis = Redis.from_url(f"redis://127.0.0.1:{free_port()}/0" if away else valkey)
    if not away:
        await redis.flushdb()
    penalties = [Penalties(redis, now=lambda: clock[0]) for _ in range(1 if away else 2)]
    attempts = [each.count("here") for _ in range(20) for each in penalties]
    answers = await asyncio.gather(*attempts, return_exceptions=True)
    passed = [each for each in answers if not isinstance(each, TooManyAttemptsError)]
    assert len(passed) == FREE_ATTEMPTS
    await redis.aclose()


@pytest.mark.connected
@pytest.mark.parametrize("away", [False, True])
async def test_what_was_no_mistake_is_forgiven_and_nothing_else(valkey: str, free_port, away: bool):
    clock = [1_000_000.25]
    redis = Redis.from_url(f"redis://127.0.0.1:{free_port()}/0" if away else valkey)
    if not away:
        await redis.flushdb()
    penalties = Penalties(redis, now=lambda: clock[0])
    for _ in range(3 * FREE_ATTEMPTS):
        await penalties.forgive(await penalties.count("here"))
    for _ in range(FREE_ATTEMPTS + 3):
        clock[0] += FORGOTTEN_SECONDS
        await penalties.count("here")
    clock[0] += delay_after(FREE_ATTEMPTS + 3)
    await penalties.forgive(await penalties.count("here"))
    await penalties.forgive(await penalties.count("here"))
    await penalties.count("here")
    with pytest.raises(TooManyAttemptsError) as refused:
        await penalties.count("here")
    assert refused.value.extra["retry_after"] == delay_after(FREE_ATTEMPTS + 4)
    await redis.aclose()


@pytest.mark.connected
async def test_guesses_are_slowed_before_anything_is_looked_at(platform: Platform, redis: Redis):
    app = create_app(platform.settings)
    here, elsewhere = (ASGITransport(app, client=(address, 1)) for address in ("192.0.2.1", "198.51.100.1"))
    async with (
        AsyncClient(transport=here, base_url="http://gateway") as guesser,
        AsyncClient(transport=elsewhere, base_url="http://gateway") as school,
    ):
        agent = FleetAgent()
        codes = [(await agent.post(guesser, "enrol", agent.enrolment(f"guess-{n}"))) for n in range(FREE_ATTEMPTS + 2)]
        assert [each.status_code for each in codes[:FREE_ATTEMPTS]] == [403] * FREE_ATTEMPTS
        assert len({each.content for each in codes[:FREE_ATTEMPTS]}) == 1
        assert codes[-1].status_code == 429
        assert int(codes[-1].headers["retry-after"]) >= 1
        assert codes[-1].json()["code"] == "too_many_attempts"
        assert (await agent.post(school, "enrol", agent.enrolment("typed wrong"))).status_code == 403


@pytest.mark.connected
async def test_codes_that_are_good_and_bodies_that_are_not_cost_a_network_nothing(platform: Platform, redis: Redis):
    await redis.flushdb()
    day = date(2031, 1, 1)
    async with AsyncClient(
        transport=ASGITransport(create_app(platform.settings), client=("203.0.113.1", 1)), base_url="http://gateway"
    ) as site:
        for n in range(FREE_ATTEMPTS + 2):
            agent, name = FleetAgent(), f"many-{n}"
            grants = [Grant(name, A, "diagnostics", day + timedelta(n), day + timedelta(n))]
            await agent.enrol(site, (await platform.registrar.enrolments.invite(name, grants)).code)
            assert (await agent.post(site, "enrol", b"\x1f", **{"Content-Encoding": "gzip"})).status_code == 415
