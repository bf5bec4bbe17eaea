"""Who may call what: one line per operation. An operation without a line keeps the gateway from starting."""

from __future__ import annotations

from typing import Literal

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

Right = Literal["anyone", "reader", "agent"]

PREFIX = "/api/v1"

RIGHTS: dict[tuple[str, str], Right] = {
    ("GET", f"{PREFIX}/catalogue"): "reader",
    ("GET", f"{PREFIX}/tables/{{table}}.csv"): "reader",
    ("GET", f"{PREFIX}/tables/{{table}}"): "reader",
    ("GET", f"{PREFIX}/summaries/{{page}}"): "reader",
    ("GET", f"{PREFIX}/series/daily"): "reader",
    ("GET", f"{PREFIX}/series/hourly"): "reader",
    ("GET", f"{PREFIX}/freshness"): "reader",
    ("GET", f"{PREFIX}/live"): "reader",
    ("GET", f"{PREFIX}/agents"): "reader",
    ("POST", f"{PREFIX}/agents/enrol"): "agent",
    ("POST", f"{PREFIX}/agents/hello"): "agent",
    ("POST", f"{PREFIX}/agents/reports"): "agent",
    ("GET", f"{PREFIX}/openapi.json"): "anyone",
    ("GET", f"{PREFIX}/asyncapi.json"): "anyone",
    ("GET", f"{PREFIX}/docs"): "anyone",
    ("GET", "/health/live"): "anyone",
    ("GET", "/health/ready"): "anyone",
}
"""`anyone`: holds nothing of any territory. `reader`: a token in force, and then only what its scope names. `agent`: a body
signed by a key in force (by the key it brings, for an enrolment), which the route itself checks; no token opens it."""

OPEN_PATHS = frozenset(path for (_, path), right in RIGHTS.items() if right == "anyone")
SIGNED = frozenset(operation for operation, right in RIGHTS.items() if right == "agent")
"""Operations that the gate leaves to their signature."""


class UndeclaredRightError(RuntimeError):
    """An operation has no line in RIGHTS, or a line has no operation."""


def check_rights(app: FastAPI) -> None:
    """Compare the application's operations with RIGHTS; `UndeclaredRightError` names the difference."""
    operations = operations_of(app)
    if difference := operations ^ RIGHTS.keys():
        raise UndeclaredRightError(f"operations and rights differ: {sorted(difference)}")


def operations_of(app: FastAPI) -> set[tuple[str, str]]:
    """Every (method, path) that the application answers."""
    contexts = list(iter_route_contexts(app.routes))
    if any(context.path is None or not context.methods for context in contexts):
        raise UndeclaredRightError("a route without path or method, such as a mounted application, cannot be declared")
    return {(method, str(context.path)) for context in contexts for method in context.methods or ()}
