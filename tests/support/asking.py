"""The same question put to the product and to the oracle, and how their answers differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tests.support.oracle.compare import csv_differences, table_differences
from tests.support.oracle.days import WINDOWS

if TYPE_CHECKING:
    from tests.support.oracle import Oracle

QUESTIONS: tuple[dict[str, Any], ...] = (
    *({"window": window} for window in WINDOWS),
    {"year": "2025-2026"},
    {"year": "2009-2010"},
    {},
)
"""Every window, a school year, one before the first of all indicators, and neither."""

API_NAMES = {"year": "school_year", "establishments": "establishment"}
"""What the API calls the oracle's arguments."""


class Answering(Protocol):
    """A stack, or whatever answers in its place; `asked` by the API's names."""

    def table(self, table: str, **asked: Any) -> dict[str, Any]: ...

    def csv(self, table: str, **asked: Any) -> str: ...


def differences(product: Answering, oracle: Oracle, table: str, *, as_csv: bool = False, **question: Any) -> list[str]:
    """Of one table's answer as JSON and, if asked for, of the same as CSV."""
    expected = oracle.table(table, **question)
    asked = {API_NAMES.get(name, name): value for name, value in question.items()}
    answer = product.table(table, **asked)
    found = table_differences(answer, expected)
    return found + (csv_differences(product.csv(table, **asked), expected, answer) if as_csv else [])
