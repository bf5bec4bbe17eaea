"""What the gateway tells about itself: OpenAPI, a page that shows it without any script, AsyncAPI. Nothing of any territory."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Any

import msgspec
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse

from contracts.answers import DailySeries, Freshness, HourlySeries, SummaryAnswer, TableAnswer
from contracts.fleet import (
    AGENT_HTTP_HEADER,
    SIGNATURE_HTTP_HEADER,
    AgentStatus,
    Enrol,
    Enrolled,
    Hello,
    HelloAnswer,
)
from contracts.published_catalogue import CatalogueAnswer
from contracts.schemas import MESSAGES
from contracts.topics import load_cards
from contracts.usage_reported import UsageReported
from services.gateway.rights import OPEN_PATHS, PREFIX, SIGNED

REF = "#/components/schemas/{name}"
STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; border-bottom: 1px solid #ccc; padding: .3rem; }
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457; code is stable.",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}
_DECLARED = [
    CatalogueAnswer, TableAnswer, SummaryAnswer, DailySeries, HourlySeries, Freshness, Enrol, Enrolled, Hello, HelloAnswer, UsageReported,
    AgentStatus,
]  # fmt: skip
"""Types of the contract that routes take or give."""
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": SIGNATURE_HTTP_HEADER,
        "description": f"Ed25519 over the body's bytes, base64; the agent's name stands in {AGENT_HTTP_HEADER}.",
    },
}

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def openapi_document(request: Request) -> Response:
    """The HTTP API."""
    return Response(msgspec.json.encode(request.app.openapi()), media_type="application/json")


@router.get("/asyncapi.json")
async def asyncapi_document() -> Response:
    """The topics, generated from the cards that create them and the declarations of what they carry."""
    return Response(msgspec.json.encode(asyncapi()), media_type="application/json")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The HTTP API, readable, from this server alone."""
    policy = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; frame-ancestors 'none'"
    return HTMLResponse(page(request.app.openapi()), headers={"Content-Security-Policy": policy})


def describe(app: FastAPI) -> dict[str, Any]:
    """OpenAPI of the application: answers from the contract's own types, the bearer, and problems for all refusals."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _, declared = msgspec.json.schema_components(_DECLARED, ref_template=REF)
        components = document.setdefault("components", {})
        own = {"FreshnessList": _listed("Freshness"), "AgentList": _listed("AgentStatus"), "Problem": _PROBLEM}
        components["schemas"] = {**components.get("schemas", {}), **declared, **own}
        components["securitySchemes"] = _SECURITY
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _describe_refusals(method, path, operation)
        app.openapi_schema = document
    return app.openapi_schema


def _listed(name: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": REF.format(name=name)}}


def _describe_refusals(method: str, path: str, operation: dict[str, Any]) -> None:
    if path not in OPEN_PATHS:
        operation["security"] = [{"signature": []} if (method.upper(), path) in SIGNED else {"bearer": []}]
    content = {"application/problem+json": {"schema": {"$ref": REF.format(name="Problem")}}}
    refusals = {"401": "No token or signature in force", "404": "Unknown, or out of the perimeter", "413": "Too long"}
    refusals |= {"422": "Not understood", "429": "Too many requests", "503": "A part is not available"}
    for status, description in refusals.items():
        operation["responses"][status] = {"description": description, "content": content}


def page(document: dict[str, Any]) -> str:
    """One HTML page of an OpenAPI document: operations and their parameters."""
    parts = [
        _operation(method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    title = escape(document["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style></head>'
        f"<body><h1>{title}</h1><p>{escape(document['info'].get('description', ''))}</p>"
        f'<p><a href="{PREFIX}/openapi.json">OpenAPI</a> · <a href="{PREFIX}/asyncapi.json">AsyncAPI</a></p>'
        f"{''.join(parts)}</body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
        f"<td>{escape(str(each.get('description') or each['schema'].get('title', '')))}</td></tr>"
        for each in operation.get("parameters", [])
    )
    head = "<tr><th>Parameter</th><th>In</th><th>Meaning</th></tr>"
    table = f"<table>{head}{rows}</table>" if rows else ""
    told = f"{escape(operation.get('summary', ''))}. {escape(operation.get('description', ''))}"
    return f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{told}</p>{table}"


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0 of all topics; a dead-letter topic carries the bytes of the topic it comes from."""
    cards = load_cards()
    _, schemas = msgspec.json.schema_components(list(MESSAGES.values()), ref_template=REF)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Console territoriale", "version": "1"},
        "defaultContentType": "application/json",
        "channels": {name: _channel(name, cards[name].why) for name in sorted(cards)},
        "operations": {
            f"{who}_{action}_{name.replace('.', '_')}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{name}"},
                "title": who,
            }
            for name, card in sorted(cards.items())
            for action, services in (("send", card.producers), ("receive", card.consumers))
            for who in services
        },
        "components": {"schemas": schemas},
    }


def _channel(name: str, why: str) -> dict[str, Any]:
    carried = MESSAGES[name.removesuffix(".dlq")]
    payload = {"$ref": REF.format(name=carried.__name__)}
    return {"address": name, "description": why, "messages": {carried.__name__: {"payload": payload}}}
