"""A query API that answers from the scope it is given, so that a test sees what the gateway asked and passed on."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response

from chassis.http import problem
from contracts.answers import AnswerCell, AnswerColumn, AnswerRow, TableAnswer
from contracts.fleet import AgentStanding
from contracts.scope import Scope

COLUMNS = [
    AnswerColumn("total.all", "Total", "Total", "count", 59),
    AnswerColumn("total.net", ".Net", "Total", "rate", 61),
]


class StandIn:
    """`asked` keeps each question, `told` the digest of each scope sent whole; `mode` makes it fail as a real one may."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.mode = "well"
        self.told: list[str] = []
        self.scopes: dict[str, Any] = {}
        self.standing: dict[str, AgentStanding] = {}
        self.app = FastAPI()
        self.app.add_api_route("/internal/{path:path}", self.answer, methods=["POST"])
        self.app.add_api_route("/health/ready", self.ready)

    async def ready(self) -> Response:
        return Response(status_code=200 if self.mode == "well" else 503)

    async def answer(self, path: str, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer internal":
            return problem(401, "unauthorized", "Authentication is required")
        question = msgspec.json.decode(await request.body())
        if path != "standing" and not self._knows(question):
            return problem(409, "unknown_scope", "No scope with this digest is known")
        self.asked.append((path, question))
        if self.mode != "well":
            return self._badly()
        if question.get("table", "connexions.individus") != "connexions.individus":
            return problem(404, "unknown_table", "No table has this id", "this one")
        if question.get("window") == "never":
            return problem(422, "unknown_window", "No window has this name")
        return Response(msgspec.json.encode(self._body(path, question)), media_type="application/json")

    def _knows(self, question: dict[str, Any]) -> bool:
        """Puts the scope that a digest names in its place."""
        digest = question.pop("scope_digest", "")
        if "scope" in question:
            self.told.append(digest)
            self.scopes[digest] = question["scope"]
        question["scope"] = self.scopes.get(digest)
        return question["scope"] is not None

    def _badly(self) -> Response:
        if self.mode == "fault":
            return Response("Internal Server Error", 500)
        if self.mode == "stranger":
            return problem(401, "unauthorized", "Authentication is required")
        return Response("<html>busy</html>", 404 if self.mode == "lost" else 502)

    def _body(self, path: str, question: dict[str, Any]) -> object:
        if path == "standing":
            return [self.standing.get(agent, AgentStanding(agent, None)) for agent in question["agents"]]
        scope = msgspec.convert(question["scope"], Scope)
        wanted = set(question["establishments"])
        seen = [each.establishment for each in scope.establishments if not wanted or each.establishment.uai in wanted]
        if path == "freshness":
            return [{"uai": each.uai, "family": "web", "observed_until": None} for each in seen]
        if path != "tables":
            return {"points": [], "uais": [each.uai for each in seen]}
        cells = [AnswerCell(3), AnswerCell(0.5)]
        rows = [AnswerRow(each.uai, each.name, each.postal_codes, cells) for each in seen]
        return TableAnswer(
            table=question["table"], display="values", window="current-year", first_day=date(2026, 9, 1),
            last_day=date(2026, 11, 23), complete=False, as_of=None, columns=COLUMNS, total=cells, rows=rows, extremes={},
        )  # fmt: skip
