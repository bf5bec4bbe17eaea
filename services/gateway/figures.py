"""Routes of figures: parameters in, the query API's ready bytes out."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from contracts.answers import TableAnswer
from contracts.questions import FreshnessQuestion, SeriesQuestion, SummaryQuestion, TableQuestion
from services.gateway.as_csv import DIALECTS, as_csv, file_name
from services.gateway.errors import UnknownEstablishmentError, UnknownPageError, UnknownTableError
from services.gateway.gate import reader_of
from services.gateway.parameters import CsvParameters, Parameters, TableParameters, WindowParameters
from services.gateway.readers import Reader
from services.gateway.upstream import QueryClient

_ID = re.compile(r"[A-Za-z0-9_.-]{1,80}", re.ASCII)
_decode_table = msgspec.json.Decoder(TableAnswer).decode


def query_of(request: Request) -> QueryClient:
    """The client that app.py put in the application's state."""
    query: QueryClient = request.app.state.query
    return query


Caller = Annotated[Reader, Depends(reader_of)]
Ask = Annotated[QueryClient, Depends(query_of)]
router = APIRouter(tags=["figures"], default_response_class=Response)


def documented(model: str, media_type: str = "application/json") -> dict[int | str, dict[str, Any]]:
    """How OpenAPI describes an answer whose bytes pass through as they are."""
    schema = {"$ref": f"#/components/schemas/{model}"}
    return {200: {"description": "The answer", "content": {media_type: {"schema": schema}}}}


CSV_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"description": "The table", "content": {"text/csv": {"schema": {"type": "string"}}}}
}


@router.get("/tables/{table}.csv", responses=CSV_ANSWER, summary="A table as CSV")
async def table_as_csv(table: str, asked: Annotated[CsvParameters, Query()], reader: Caller, ask: Ask) -> Response:
    """What the JSON shows, with the same filters, order and display: titles, totals, lines."""
    answer = _decode_table(await ask.ask("/internal/tables", _table_question(table, asked, reader)))
    headers = {"Content-Disposition": f'attachment; filename="{file_name(answer)}"'}
    body = as_csv(answer, DIALECTS[asked.dialect])
    return Response(body, media_type="text/csv; charset=utf-8; header=present", headers=headers)


@router.get("/tables/{table}", responses=documented("TableAnswer"), summary="A table")
async def table(table: str, asked: Annotated[TableParameters, Query()], reader: Caller, ask: Ask) -> Response:
    """One line per establishment of the perimeter, the totals, and where each column is greatest and smallest."""
    return _ready(await ask.ask("/internal/tables", _table_question(table, asked, reader)))


@router.get("/summaries/{page}", responses=documented("SummaryAnswer"), summary="A page's summary")
async def summary(page: str, asked: Annotated[WindowParameters, Query()], reader: Caller, ask: Ask) -> Response:
    """The widgets of a page."""
    if not _ID.fullmatch(page):
        raise UnknownPageError
    question = SummaryQuestion(
        scope=reader.scope,
        scope_digest=reader.scope_digest,
        page=page,
        window=asked.window,
        school_year=asked.school_year,
        establishments=establishments_asked(asked, reader),
    )
    return _ready(await ask.ask("/internal/summaries", question))


@router.get("/series/daily", responses=documented("DailySeries"), summary="Four weeks, day by day")
async def daily(asked: Annotated[Parameters, Query()], reader: Caller, ask: Ask) -> Response:
    """Connections and distinct people of the last 28 days and of today."""
    return _ready(await ask.ask("/internal/series/daily", _series_question(asked, reader)))


@router.get("/series/hourly", responses=documented("HourlySeries"), summary="Three weeks, hour by hour")
async def hourly(asked: Annotated[Parameters, Query()], reader: Caller, ask: Ask) -> Response:
    """Connections of the last 21 days by hour of the local day."""
    return _ready(await ask.ask("/internal/series/hourly", _series_question(asked, reader)))


@router.get("/freshness", responses=documented("FreshnessList"), summary="Until when each source was observed")
async def freshness(asked: Annotated[Parameters, Query()], reader: Caller, ask: Ask) -> Response:
    """One line per establishment and reported family."""
    question = FreshnessQuestion(
        scope=reader.scope, scope_digest=reader.scope_digest, establishments=establishments_asked(asked, reader)
    )
    return _ready(await ask.ask("/internal/freshness", question))


def _table_question(table: str, asked: TableParameters, reader: Reader) -> TableQuestion:
    if not _ID.fullmatch(table):
        raise UnknownTableError
    return TableQuestion(
        scope=reader.scope,
        scope_digest=reader.scope_digest,
        table=table,
        window=asked.window,
        school_year=asked.school_year,
        display=asked.display,
        establishments=establishments_asked(asked, reader),
        sort=asked.sort,
        search=asked.search,
        columns=asked.columns,
        compare=asked.compare,
    )


def _series_question(asked: Parameters, reader: Reader) -> SeriesQuestion:
    return SeriesQuestion(
        scope=reader.scope, scope_digest=reader.scope_digest, establishments=establishments_asked(asked, reader)
    )


def establishments_asked(asked: Parameters, reader: Reader) -> tuple[str, ...]:
    """The UAIs asked for, once each; one outside the scope is as unknown as one that does not exist."""
    uais = tuple(dict.fromkeys(uai.strip().upper() for uai in asked.establishment))
    if not reader.uais.issuperset(uais):
        raise UnknownEstablishmentError
    return uais


def _ready(body: bytes) -> Response:
    return Response(body, media_type="application/json")
