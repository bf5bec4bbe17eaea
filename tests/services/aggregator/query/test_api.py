"""The internal API on a real PostgreSQL, filled with sheets folded by the aggregator's own code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

import httpx
import msgspec
import pytest
from pydantic import SecretStr
from sqlalchemy import event

from chassis.database import create_engine, migrate
from contracts.catalogue import CATALOGUE, GRAINS
from contracts.packed import pack
from contracts.questions import digest_of
from contracts.scope import Scope
from services.aggregator.bundle import pack as pack_reports
from services.aggregator.query.app import create_app
from services.aggregator.query.config import QuerySettings
from services.aggregator.query.store import is_ready
from services.aggregator.reports import families_of
from services.aggregator.states import Key, State, as_columns
from services.aggregator.store import MIGRATIONS
from services.aggregator.tables import SCHEMA, bundles, sheets
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
    async with engine.begin() as connection:
        await connection.execute(sheets.insert(), _sheet_rows())
        await connection.execute(bundles.insert(), _bundle_rows())
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


def _sheet_rows() -> list[dict[str, object]]:
    return [
        {**sheet._asdict(), "grain": GRAINS.index(sheet.grain), "folded": b"", "frozen": False}
        for sheet in _ledger().sheets()
    ]


def _bundle_rows() -> list[dict[str, object]]:
    periods, columns = as_columns([*_hours(), *_observed()])
    packed = zip(families_of(columns, len(periods)), pack_reports(columns.in_order(), len(periods)), strict=True)
    return [
        {
            "uai": period.uai,
            "grain": period.grain,
            "start": date.fromordinal(period.start),
            "families": families,
            "reports": bundle,
        }
        for period, (families, bundle) in zip(periods, packed, strict=True)
    ]


def _hours() -> list[tuple[Key, State]]:
    """Eight in the morning, counted by two agents; one of their reports is cut."""
    start = int(datetime(2026, 11, 19, 7, tzinfo=UTC).timestamp())
    (code, *_), family = CATALOGUE.select("web", "connections_hour"), CATALOGUE.families["web"].number
    return [(Key(A, family, 0, start, agent), _state(code, 4 + agent, cut=agent == 1)) for agent in (1, 2)]


def _observed() -> list[tuple[Key, State]]:
    minutes = CATALOGUE.select("observed.journal", "minutes")
    family = CATALOGUE.families["observed.journal"].number
    day = GRAINS.index("day")
    return [(Key(A, family, day, YESTERDAY.toordinal(), agent), _state(minutes[agent], 30)) for agent in (1, 2)]


def _state(code: int, count: int, *, cut: bool = False) -> State:
    return State(0, cut, int(NOW.timestamp() * 1000), pack([code], [count]))


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


async def test_a_scope_that_was_seen_is_known_by_its_digest(api: Asker):
    question = {"table": "connexions.authentifiees", "window": "last-day"}
    digest = digest_of(msgspec.Raw(msgspec.json.encode(api.scope)))
    whole = await api.ask("tables", **question, scope_digest="0" * 64)
    known, unknown = [
        await api.client.post("/internal/tables", json={**question, "scope_digest": name})
        for name in (digest, "0" * 64)
    ]
    assert (known.status_code, known.content) == (200, whole.content)
    assert (unknown.status_code, unknown.json()["code"]) == (409, "unknown_scope")


async def test_the_summary(api: Asker):
    answer = (await api.ask("summaries", page="connexions", window="last-day")).json()
    assert answer["widgets"][0]["rows"][0]["cells"][0] == {"value": 70_300}
    assert (answer["from"], answer["to"]) == ("2026-11-19", "2026-11-19")


async def test_the_series(api: Asker):
    daily = (await api.ask("series/daily")).json()["points"]
    assert daily[-2]["connections"] == {"value": 70_300}
    assert daily[-1]["connections"] == {"value": None, "state": "nd", "left_out": 2}
    hourly = (await api.ask("series/hourly", establishments=[A.lower()])).json()["points"]
    assert len(hourly) == 21 * 24
    assert hourly[-16] == {
        "date": "2026-11-19", "hour": 8, "connections": {"value": 11, "state": "partial", "share": 1.0},
    }  # fmt: skip


async def test_freshness(api: Asker):
    found = (await api.ask("freshness")).json()
    assert {"uai": A, "family": "web", "observed_until": "2026-11-19T01:30:00Z"} in found
    assert {"uai": B, "family": "people", "observed_until": None} in found


async def test_search_and_sort(api: Asker):
    question = {"table": "connexions.authentifiees", "window": "last-day", "sort": "-total.all"}
    found = (await api.ask("tables", **question)).json()
    assert [row["name"] for row in found["rows"]] == ["Zola", "Émile"]
    assert found["extremes"]["total.all"] == {"max": [B], "min": [A]}
    found = (await api.ask("tables", **question, search="EMILE")).json()
    assert [row["name"] for row in found["rows"]] == ["Émile"]
    assert (found["total"][0]["value"], found["extremes"]["total.all"]) == (300, {"max": [], "min": []})
    nobody = (await api.ask("tables", **question, search="nobody")).json()
    assert (nobody["rows"], nobody["total"][0]) == ([], {"value": None, "state": "na"})


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
        ({"scope": {"establishments": []}}, 422, "malformed_question"),
        ({"establishments": "all"}, 422, "malformed_question"),
    ],
)
async def test_faults_are_named(api: Asker, question: dict[str, object], status: int, code: str):
    response = await api.ask("tables", **{"table": "connexions.authentifiees", **question})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_page_without_summary(api: Asker):
    response = await api.ask("summaries", page="nowhere")
    assert (response.status_code, response.json()["code"]) == (404, "unknown_page")


async def test_without_a_database_it_says_so(free_port: Callable[[], int]):
    nobody = SecretStr(f"postgresql+asyncpg://usage:none@127.0.0.1:{free_port()}/none")
    app = create_app(QuerySettings(usage_database=nobody, internal_token=SecretStr(TOKEN), now=NOW))
    async with app.router.lifespan_context(app), _client(app) as client:
        response = await Asker(client, scope(visible(A))).ask("tables", table="connexions.authentifiees")
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/health/live")).status_code == 204


async def test_not_ready_before_the_tables_and_no_error_for_it(database: Database):
    """A probe that reads a table which is not there yet fills PostgreSQL's log with errors until it is."""
    engine = create_engine(database.usage, application="test")
    errors: list[str] = []
    event.listen(engine.sync_engine, "handle_error", lambda context: errors.append(str(context.original_exception)))
    assert not await is_ready(engine)
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    assert await is_ready(engine)
    await engine.dispose()
    assert errors == []
