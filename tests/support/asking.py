"""The same question put to a stack's gateway and to the oracle, and how their answers differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.oracle.compare import csv_differences, table_differences
from tests.support.oracle.days import WINDOWS

if TYPE_CHECKING:
    from tests.support.oracle import Oracle
    from tests.support.stacks import Stack

QUESTIONS: tuple[dict[str, Any], ...] = (
    *({"window": window} for window in WINDOWS),
    {"year": "2025-2026"},
    {"year": "2009-2010"},
    {},
)
"""Every window, a school year, one before the first of all indicators, and neither."""

API_NAMES = {"year": "school_year", "establishments": "establishment"}
"""What the API calls the oracle's arguments."""


def differences(stack: Stack, oracle: Oracle, table: str, *, as_csv: bool = False, **question: Any) -> list[str]:
    """Of one table's answer as JSON and, if asked for, of the same as CSV."""
    expected = oracle.table(table, **question)
    asked = {API_NAMES.get(name, name): value for name, value in question.items()}
    answer = stack.json(f"/tables/{table}", **asked)
    found = table_differences(answer, expected)
    if as_csv:
        exported = stack.get(f"/tables/{table}.csv", **asked)
        assert exported.status_code == 200, f"{exported.request.url}: {exported.text[:500]}"
        found += csv_differences(exported.content.decode("utf-8"), expected, answer)
    return found
