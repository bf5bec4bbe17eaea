"""The chassis' small promises: a clock that holds still, problems with stable codes, a door that is shut first."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
from fastapi import Depends, FastAPI
from pydantic import SecretStr

from chassis.clock import Clock
from chassis.errors import NamedError
from chassis.http import add_problem_handlers, health_router, internal_only


def test_a_fixed_clock_holds_business_time_only():
    fixed = datetime.fromisoformat("2026-11-20T08:00:00+01:00")
    clock = Clock(fixed)
    assert clock.now() == fixed
    assert clock.now().tzinfo is UTC
    assert abs((clock.real_now() - datetime.now(UTC)).total_seconds()) < 60
    assert abs((Clock().now() - datetime.now(UTC)).total_seconds()) < 60


class TeapotError(NamedError):
    code, status, title = "teapot", 418, "Short and stout"


@pytest.fixture
async def client():
    app = FastAPI()
    add_problem_handlers(app)
    app.include_router(health_router(_not_ready))

    @app.get("/tea", dependencies=[Depends(internal_only(SecretStr("sesame")))])
    async def tea(cups: int) -> None:
        raise TeapotError("no tea", cups=cups)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def _not_ready() -> bool:
    return False


async def test_errors_are_problems(client):
    answer = await client.get("/tea?cups=2", headers={"Authorization": "Bearer sesame"})
    assert answer.status_code == 418
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Short and stout",
        "status": 418,
        "code": "teapot",
        "cups": 2,
        "detail": "no tea",
    }
    assert (await client.get("/nowhere")).json()["code"] == "not_found"
    assert (await client.get("/tea?cups=x", headers={"Authorization": "Bearer sesame"})).status_code == 422


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer open"}, {"Authorization": "sesame"}])
async def test_the_door_is_shut_first(client, header):
    answer = await client.get("/tea?cups=1", headers=header)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_ready_says_so(client):
    assert (await client.get("/health/ready")).status_code == 503
    assert (await client.get("/health/live")).status_code == 204
