"""The gateway before the real query API, on sheets that hold nothing yet: both speak the same contract."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator

import msgspec
import pytest
from httpx import AsyncClient
from pydantic import SecretStr

from chassis.database import create_engine, migrate
from contracts.answers import DailySeries, Freshness, HourlySeries, SummaryAnswer, TableAnswer
from contracts.catalogue import CATALOGUE
from services.aggregator.query.app import create_app as create_query
from services.aggregator.query.config import QuerySettings
from services.aggregator.store import MIGRATIONS
from services.aggregator.tables import SCHEMA
from services.gateway.app import create_app
from services.gateway.as_csv import RESERVES
from tests.services.gateway.conftest import NOW, Platform, bearer, served
from tests.services.identity.documents import A, B, C
from tests.support.servers import Database

pytestmark = pytest.mark.connected


@pytest.fixture(scope="module")
async def real(standing: Platform, module_database: Database) -> AsyncIterator[str]:
    """URL of a gateway with everything real behind it."""
    engine = create_engine(module_database.usage, application="test")
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    await engine.dispose()
    query = create_query(
        QuerySettings(
            usage_database=SecretStr(module_database.usage), internal_token=standing.settings.internal_token, now=NOW
        )
    )
    async with served(query) as query_url:
        gateway = create_app(standing.settings.model_copy(update={"query_url": query_url}))
        async with served(gateway) as url:
            yield f"{url}/api/v1"


@pytest.fixture
async def asking(real: str, platform: Platform) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url=real, headers=bearer(platform.reader), timeout=30) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *((f"tables/{table}", TableAnswer) for table in CATALOGUE.tables),
        ("summaries/connexions", SummaryAnswer),
        ("series/daily", DailySeries),
        ("series/hourly", HourlySeries),
        ("freshness", list[Freshness]),
    ],
)
async def test_every_figure_is_what_the_contract_says(asking: AsyncClient, path: str, kind: type):
    response = await asking.get(f"/{path}")
    assert response.status_code == 200, response.text
    assert msgspec.json.encode(msgspec.json.decode(response.content, type=kind)) == response.content
    assert C not in response.text


@pytest.mark.parametrize("display", ["values", "rates"])
@pytest.mark.parametrize("dialect", ["fr", "rfc4180"])
async def test_a_table_that_has_seen_nothing_says_nd_and_never_zero(asking: AsyncClient, display: str, dialect: str):
    asked = {"window": "current-month", "display": display, "sort": "-uai"}
    json = (await asking.get("/tables/connexions.authentifiees", params=asked)).json()
    text = (await asking.get("/tables/connexions.authentifiees.csv", params={**asked, "dialect": dialect})).text
    delimiter = ";" if dialect == "fr" else ","
    titles, total, *lines = csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=delimiter)
    assert titles[-1] == RESERVES
    assert [line[0] for line in lines] == [row["uai"] for row in json["rows"]] == sorted([A, B], reverse=True)
    assert {cell for line in (total, *lines) for cell in line[3:-1]} == {"nd"}
    assert lines[0][-1].split() == [f"{column['id']}=nd" for column in json["columns"]]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("tables/social.nowhere", 404, "unknown_table"),
        ("summaries/nowhere", 404, "unknown_page"),
        ("tables/connexions.individus?window=tomorrow", 422, "unknown_window"),
        ("tables/connexions.individus?school_year=2025-2027", 422, "unknown_school_year"),
        ("tables/connexions.individus?window=last-day&school_year=2025-2026", 422, "two_windows"),
        ("tables/connexions.individus?sort=colour", 422, "unknown_column"),
        ("tables/connexions.individus.csv?display=colours", 422, "unknown_display"),
    ],
)
async def test_refusals_keep_their_codes(asking: AsyncClient, path: str, status: int, code: str):
    response = await asking.get(f"/{path}")
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
