"""What the gateway tells about itself: complete, consistent, from this server alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec
import pytest
from asgi_lifespan import LifespanManager
from httpx import ASGITransport, AsyncClient

from contracts.answers import DailySeries, HourlySeries, TableAnswer
from contracts.topics import load_cards
from services.gateway.app import create_app
from services.gateway.documents import asyncapi, describe
from services.gateway.rights import OPEN_PATHS, PREFIX, RIGHTS
from tests.services.gateway.test_rights import settings


@pytest.fixture(scope="module")
def document():
    return json.loads(msgspec.json.encode(describe(create_app(settings()))))


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        yield from (found for value in node.values() for found in references(value))
    elif isinstance(node, list):
        yield from (found for value in node for found in references(value))


def test_every_operation_is_described(document):
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {key for key, right in RIGHTS.items() if right != "anyone"}


def test_every_operation_says_what_opens_it_and_names_its_refusals(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            key = "signature" if RIGHTS[method.upper(), path] == "agent" else "bearer"
            assert operation["security"] == [{key: []}]
            assert key in document["components"]["securitySchemes"]
            assert {"200", "204"} & operation["responses"].keys()
            assert {"401", "404", "413", "422", "429", "503"} <= operation["responses"].keys()
            assert operation["responses"]["422"]["content"].keys() == {"application/problem+json"}
            assert operation["summary"]
            assert operation["description"]


def test_no_reference_leads_nowhere(document):
    components = document["components"]["schemas"]
    targets = {reference.rsplit("/", 1)[1] for reference in references(document)}
    assert targets <= components.keys()
    assert {"TableAnswer", "DailySeries", "HourlySeries", "FreshnessList", "Problem"} <= targets


@pytest.mark.parametrize("kind", [TableAnswer, DailySeries, HourlySeries])
def test_answers_are_described_as_the_contract_declares_them(document, kind):
    declared = msgspec.json.schema_components([kind])[1][kind.__name__]
    assert document["components"]["schemas"][kind.__name__]["properties"].keys() == declared["properties"].keys()


def test_names_of_operations_are_stable(document):
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert sorted(names) == [
        "agent_list", "catalogue", "daily", "enrol", "events", "freshness", "hello", "hourly", "reports", "summary", "table", "table_as_csv",
    ]  # fmt: skip


def test_what_agents_send_and_get_is_described(document):
    hello = document["paths"][f"{PREFIX}/agents/hello"]["post"]
    assert {reference.rsplit("/", 1)[1] for reference in references(hello)} == {"Hello", "HelloAnswer", "Problem"}
    assert hello["requestBody"]["required"]


def test_asyncapi_tells_every_topic_who_writes_and_who_reads():
    told = asyncapi()
    assert told["channels"].keys() == load_cards().keys()
    assert told["operations"]["collector_send_usage_reported_v1"]["action"] == "send"
    assert told["operations"]["gateway_receive_counters_updated_v1"]["action"] == "receive"
    schemas = {reference.rsplit("/", 1)[1] for reference in references(told) if "schemas" in reference}
    assert schemas <= told["components"]["schemas"].keys()
    channels = {reference.rsplit("/", 1)[1] for reference in references(told) if "channels" in reference}
    assert channels == told["channels"].keys()


async def test_documents_are_open_need_no_script_and_no_other_server():
    app = create_app(settings())
    async with LifespanManager(app), AsyncClient(transport=ASGITransport(app), base_url="http://gateway") as client:
        for path in sorted(OPEN_PATHS):
            response = await client.get(path)
            assert response.status_code in (200, 204, 503)
            assert response.headers["x-frame-options"] == "DENY"
        page = await client.get(f"{PREFIX}/docs")
    assert "<script" not in page.text
    assert re.findall(r'(?:src|href)="(?!/api/v1/)', page.text) == []
    assert "style-src 'sha256-" in page.headers["content-security-policy"]
    assert "GET /api/v1/tables/{table}" in page.text
