"""Figures at the edge: the query API's bytes pass through, its refusals keep their codes, nothing ends in a fault."""

from __future__ import annotations

import csv
import io
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from httpx import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.answers import TableAnswer
from contracts.scope import Scope
from services.gateway.app import create_app
from services.gateway.as_csv import as_csv
from services.gateway.documents import describe
from services.gateway.parameters import MAX_QUERY_BYTES
from services.gateway.rights import OPEN_PATHS
from tests.services.gateway.conftest import Platform, bearer, served
from tests.services.gateway.test_rights import settings as unstarted
from tests.services.identity.documents import A, B

pytestmark = pytest.mark.connected

TABLE = "/api/v1/tables/connexions.individus"
PATHS = ("tables/connexions.individus", "summaries/connexions", "series/daily", "series/hourly", "freshness")


async def test_a_table_is_asked_with_everything_and_its_bytes_pass_through(reader: AsyncClient, platform: Platform):
    response = await reader.get(
        TABLE,
        params={
            "window": "last-month",
            "display": "rates",
            "sort": "-total.net",
            "search": "Éli",
            "establishment": B,
            "columns": "all",
            "compare": "previous",
        },
    )
    path, question = platform.query.asked[-1]
    scope = msgspec.convert(question.pop("scope"), Scope)
    assert [each.establishment.uai for each in scope.establishments] == [A, B]
    assert path == "tables"
    assert question == {
        "table": "connexions.individus",
        "window": "last-month",
        "school_year": None,
        "display": "rates",
        "establishments": [B],
        "sort": "-total.net",
        "search": "Éli",
        "columns": "all",
        "compare": "previous",
    }
    answer = msgspec.json.decode(response.content, type=TableAnswer)
    assert response.content == msgspec.json.encode(answer)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_scope_travels_once_and_again_where_it_has_been_forgotten(reader: AsyncClient, platform: Platform):
    answers = [await reader.get(TABLE)]
    answers.append(await reader.get(TABLE))
    assert len(platform.query.told) == 1
    platform.query.scopes.clear()
    answers += [await reader.get(path) for path in (TABLE, "/api/v1/series/daily", TABLE)]
    assert platform.query.told == platform.query.told[:1] * 2
    assert {answer.status_code for answer in answers} == {200}
    assert len({answers[place].content for place in (0, 1, 2, 4)}) == 1
    assert all(question["scope"] == platform.query.asked[0][1]["scope"] for _, question in platform.query.asked)


async def test_the_csv_is_the_same_table(reader: AsyncClient, platform: Platform):
    asked = {"window": "current-month", "sort": "-name", "establishment": A}
    json = await reader.get(TABLE, params=asked)
    french = await reader.get(f"{TABLE}.csv", params=asked)
    plain = await reader.get(f"{TABLE}.csv", params={**asked, "dialect": "rfc4180"})
    assert [question for _, question in platform.query.asked] == [platform.query.asked[0][1]] * 3
    assert french.content == as_csv(msgspec.json.decode(json.content, type=TableAnswer))
    assert french.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert french.headers["content-disposition"].startswith('attachment; filename="connexions.individus_')
    assert next(csv.reader(io.StringIO(plain.text))) == [
        "uai",
        "name",
        "postal_codes",
        "total.all",
        "total.net",
        "Réserves",
    ]


@pytest.mark.parametrize("path", PATHS)
async def test_the_defaults_of_every_figure(reader: AsyncClient, platform: Platform, path: str):
    response = await reader.get(f"/api/v1/{path}")
    assert response.status_code == 200
    _, question = platform.query.asked[-1]
    assert question["establishments"] == []
    assert {question.get("window"), question.get("school_year")} == {None}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("tables/connexions.nowhere", 404, "unknown_table"),
        ("tables/connexions.nowhere.csv", 404, "unknown_table"),
        ("tables/%00", 404, "unknown_table"),
        ("tables/..%2f..%2fetc", 404, "not_found"),
        ("tables/%ff", 404, "unknown_table"),
        ("tables/connexions.individus.xlsx", 404, "unknown_table"),
        ("summaries/%0a", 404, "unknown_page"),
        ("tables/connexions.individus?window=never", 422, "unknown_window"),
        ("tables/connexions.individus?colour=blue", 422, "invalid_request"),
        ("tables/connexions.individus?dialect=rfc4180", 422, "invalid_request"),
        ("tables/connexions.individus.csv?dialect=excel", 422, "invalid_request"),
        ("series/daily?window=last-day", 422, "invalid_request"),
        ("tables/connexions.individus?window=last-day&window=last-day", 422, "repeated_parameter"),
        ("tables/connexions.individus?search=%00", 422, "malformed_query"),
        ("tables/connexions.individus?search=%ed%a0%80", 422, "malformed_query"),
        (f"tables/connexions.individus?search={'x' * 201}", 422, "invalid_request"),
        (f"tables/connexions.individus?search={'x' * MAX_QUERY_BYTES}", 413, "oversize_query"),
        ("freshness?access_token=abc", 422, "token_in_url"),
        ("nowhere", 404, "not_found"),
    ],
)
async def test_what_is_not_understood_is_named(reader: AsyncClient, path: str, status: int, code: str):
    response = await reader.get(f"/api/v1/{path}")
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


async def test_other_methods_are_not_allowed(reader: AsyncClient):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        assert (await reader.request(method, TABLE)).status_code == 405


@pytest.mark.parametrize("mode", ["fault", "busy", "stranger", "lost"])
@pytest.mark.parametrize("path", [*PATHS, "tables/connexions.individus.csv"])
async def test_a_query_api_that_fails_is_unavailable(reader: AsyncClient, platform: Platform, mode: str, path: str):
    platform.query.mode = mode
    response = await reader.get(f"/api/v1/{path}")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")


async def test_a_query_api_that_is_away_is_unavailable(platform: Platform, free_port):
    away = platform.settings.model_copy(update={"query_url": f"http://127.0.0.1:{free_port()}"})
    headers = bearer(platform.reader)
    async with served(create_app(away)) as url, AsyncClient(base_url=url, headers=headers) as client:
        response = await client.get(TABLE)
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert (await client.get("/health/ready")).status_code == 503


async def test_ready_means_that_both_sides_are(reader: AsyncClient, platform: Platform):
    assert (await reader.get("/health/ready")).status_code == 200
    platform.query.mode = "busy"
    assert (await reader.get("/health/ready")).status_code == 503


@pytest.mark.parametrize("redis_away", [False, True])
async def test_one_token_may_not_ask_for_ever(platform: Platform, free_port, redis_away: bool):
    settings: dict[str, Any] = {"requests_per_minute": 5}
    if redis_away:
        settings["redis"] = type(platform.settings.redis)(f"redis://127.0.0.1:{free_port()}/0")
    limited = create_app(platform.settings.model_copy(update=settings))
    async with served(limited) as url, AsyncClient(base_url=url) as client:
        answers = [await client.get(TABLE, headers=bearer(platform.reader)) for _ in range(11)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused, "eleven requests cannot fit in two minutes of five"
        assert refused[0].json()["code"] == "too_many_requests"
        assert 1 <= int(refused[0].headers["retry-after"]) <= 60
        assert (await client.get(TABLE, headers=bearer(platform.other))).status_code == 200


async def test_a_token_stands_in_no_log(reader: AsyncClient, platform: Platform, caplog, capsys):
    platform.query.mode = "fault"
    await reader.get(TABLE)
    await reader.get(TABLE, params={"token": platform.reader})
    await reader.get(TABLE, headers=bearer(platform.revoked))
    captured = capsys.readouterr()
    told = caplog.text + captured.out + captured.err
    assert "refuses" in told
    assert platform.reader not in told
    assert platform.revoked not in told


TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", "-", "' or 1=1 --", "%", "\u0000", "\ud800", "NaN", "1e999", "../..", "a" * 500, "current-year"]
    ),
)


def operations() -> list[tuple[str, list[str]]]:
    """Paths of the described operations with the parameters each knows."""
    document = describe(create_app(unstarted()))
    return [
        (path, [each["name"] for each in operation["parameters"] if each["in"] == "query"])
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if "parameters" in operation and path not in OPEN_PATHS
    ]


def encoded(text: str) -> str:
    """Percent-encoded, lone surrogates as a careless client would write them."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


async def test_whatever_stands_in_a_request_is_answered_or_named(reader: AsyncClient):
    requests: list[str] = []

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(operations()),
        TEXTS,
        st.lists(st.tuples(st.integers(0, 12), TEXTS), max_size=4),
    )
    def collect(operation: tuple[str, list[str]], segment: str, fields: list[tuple[int, str]]) -> None:
        path, names = operation
        known = [*names, "colour", "Window"]
        filled = path.replace("{table}", encoded(segment)).replace("{page}", encoded(segment))
        query = "&".join(f"{known[index % len(known)]}={encoded(text)}" for index, text in fields)
        requests.append(f"{filled}?{query}")

    collect()
    assert len(requests) >= 100
    for request in requests:
        response = await reader.get(request)
        assert response.status_code in (200, 404, 413, 422), (request, response.text)
        if response.status_code != 200:
            assert response.headers["content-type"] == "application/problem+json", request
            assert response.json()["code"]


async def test_a_thousand_establishments_fit_in_an_address(reader: AsyncClient):
    query = urlencode([("establishment", A)] * 1_000)
    assert (await reader.get(f"{TABLE}?{query}")).status_code == 200
