"""The internal API on a real PostgreSQL, filled with sheets folded by the aggregator's own code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date

import httpx
import msgspec
import pytest
from pydantic import SecretStr

from chassis.database import create_engine, migrate
from contracts.catalogue import GRAINS
from contracts.scope import Scope
from services.aggregator.query.app import create_app
from services.aggregator.query.config import QuerySettings
from services.aggregator.store import MIGRATIONS
from services.aggregator.tables import SCHEMA, sheets
from tests.services.aggregator.query.asking import NOW
from tests.services.aggregator.query.ledger import Ledger, scope, visible
from tests.support.servers import Database

pytestmark = pytest.mark.connected
A, B = "0860001A", "0860002B"
YESTERDAY = date(2026, 11, 19)
TOKEN = "between services"


@dataclass
class Asker:
    """Asks the API for one scope."""

    client: httpx.AsyncClient
    scope: Scope

    async def ask(self, path: str, **question: object) -> httpx.Response:
        body = msgspec.json.encode({"scope": self.scope, **question})
        return await self.client.post(f"/internal/{path}", content=body)


@pytest.fixture(scope="module")
async def api(module_database: Database) -> AsyncIterator[Asker]:
    engine = create_engine(module_database.usage, application="test")
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    rows = [
        {**sheet._asdict(), "grain": GRAINS.index(sheet.grain), "folded": b"", "frozen": False}
        for sheet in _ledger().sheets()
    ]
    async with engine.begin() as connection:
        await connection.execute(sheets.insert(), rows)
    await engine.dispose()
    settings = QuerySettings(usage_database=SecretStr(module_database.usage), internal_token=SecretStr(TOKEN), now=NOW)
    app = create_app(settings)
    async with app.router.lifespan_context(app), _client(app) as client:
        yield Asker(client, scope(visible(A, name="Émile"), visible(B, name="Zola")))


def _client(app: object) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://query", headers={"Authorization": f"Bearer {TOKEN}"})


def _ledger() -> Ledger:
    ledger = Ledger()
    for uai in (A, B):
        ledger.observe(uai, date(2026, 9, 1), YESTERDAY)
    ledger.connect(A, YESTERDAY, "eleve", 300)
    ledger.connect(B, YESTERDAY, "eleve", 70_000)
    return ledger


async def test_a_table_in_every_window(api: Asker):
    for window, expected in (
        ("last-day", 70_300),
        ("current-month", 70_300),
        ("last-month", 0),
        ("current-year", 70_300),
    ):
        response = await api.ask("tables", table="connexions.authentifiees", window=window)
        answer = response.json()
        assert response.status_code == 200
        assert list(answer)[:7] == ["table", "display", "window", "from", "to", "complete", "as_of"]
        assert answer["total"][0]["value"] == expected
        assert [row["name"] for row in answer["rows"]] == ["Émile", "Zola"]
        assert answer["as_of"] == "2026-11-20T12:00:00Z"


async def test_ready_once_the_tables_exist(api: Asker):
    assert (await api.client.get("/health/ready")).status_code == 200


async def test_without_the_token_nothing(api: Asker):
    response = await api.client.post("/internal/tables", headers={"Authorization": "Bearer guess"})
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("question", "status", "code"),
    [
        ({"table": "nowhere"}, 404, "unknown_table"),
        ({"window": "tomorrow"}, 422, "unknown_window"),
        ({"school_year": "2025-2027"}, 422, "unknown_school_year"),
        ({"school_year": "2027-2028"}, 422, "unknown_school_year"),
        ({"window": "last-day", "school_year": "2025-2026"}, 422, "two_windows"),
        ({"display": "graphs"}, 422, "unknown_display"),
        ({"sort": "total.nothing"}, 422, "unknown_column"),
        ({"establishments": ["0860003C"]}, 404, "unknown_establishment"),
        ({"establishments": "all"}, 422, "malformed_question"),
    ],
)
async def test_faults_are_named(api: Asker, question: dict[str, object], status: int, code: str):
    response = await api.ask("tables", **{"table": "connexions.authentifiees", **question})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
