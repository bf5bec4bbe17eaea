"""The internal API: a question in, ready bytes out."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from contracts.questions import FreshnessQuestion, SeriesQuestion, SummaryQuestion, TableQuestion
from services.aggregator.query.errors import MalformedQuestionError
from services.aggregator.query.service import Queries

_Question = TypeVar("_Question")


def queries(request: Request) -> Queries:
    """The service that app.py put in the application's state."""
    found: Queries = request.app.state.queries
    return found


Ask = Annotated[Queries, Depends(queries)]


def router() -> APIRouter:
    """Routes of the questions; app.py guards them with the internal token."""
    api = APIRouter(prefix="/internal")

    @api.post("/tables")
    async def table(request: Request, ask: Ask) -> Response:
        return _ready(await ask.table(await _question(request, TableQuestion)))

    @api.post("/summaries")
    async def summary(request: Request, ask: Ask) -> Response:
        return _ready(await ask.summary(await _question(request, SummaryQuestion)))

    @api.post("/series/daily")
    async def daily(request: Request, ask: Ask) -> Response:
        return _ready(await ask.daily(await _question(request, SeriesQuestion)))

    @api.post("/series/hourly")
    async def hourly(request: Request, ask: Ask) -> Response:
        return _ready(await ask.hourly(await _question(request, SeriesQuestion)))

    @api.post("/freshness")
    async def freshness(request: Request, ask: Ask) -> Response:
        found = await ask.freshness(await _question(request, FreshnessQuestion))
        return _ready(msgspec.Raw(msgspec.json.encode(found)))

    return api


async def _question(request: Request, kind: type[_Question]) -> _Question:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedQuestionError(str(error)) from error


def _ready(answer: msgspec.Raw) -> Response:
    return Response(bytes(answer), media_type="application/json")
