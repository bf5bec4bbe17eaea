"""The same question put to the product and to the oracle, and how their answers differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tests.support.oracle.compare import csv_differences, table_differences
from tests.support.oracle.count import EVERY_TABLE, columns_of, displays_of
from tests.support.oracle.days import WINDOWS, school_year

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from datetime import date

    from tests.support.oracle import Oracle

SEARCHES = ("ELISÉE", "e\u0301lise\u0301e", "75012", "0750", "zo", "cité", "nobody", "1u")
Question = dict[str, Any]


def questions(today: date) -> list[Question]:
    """Every window, the school year before, one before the first of all indicators, and neither."""
    before = school_year(today).previous.label
    return [*({"window": window} for window in WINDOWS), {"year": before}, {"year": "2009-2010"}, {}]


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


def every_question(oracle: Oracle, draw: random.Random, *, by_level: int) -> Iterator[tuple[str, Question]]:
    """Of every table, in every display; of those by level, which are many and made alike, `by_level` questions each."""
    for table in EVERY_TABLE:
        every = questions(oracle.today)
        for question in draw.sample(every, by_level) if ".niveaux" in table else every:
            yield from ((table, question | {"display": display}) for display in displays_of(table))


def sorted_and_searched(oracle: Oracle, draw: random.Random, *, times: int) -> Iterator[tuple[str, Question]]:
    """Any table in any window, sorted by any of its columns, up or down, of some establishments or of those that match."""
    for _ in range(times):
        table = draw.choice(EVERY_TABLE)
        display = draw.choice(displays_of(table))
        column = draw.choice([*columns_of(table, display), "name", "uai"])
        question = draw.choice(questions(oracle.today)) | {"display": display, "sort": draw.choice(["", "-"]) + column}
        chosen = draw.sample(sorted(oracle.counted), 7) if draw.random() < 0.3 else None
        search = draw.choice(SEARCHES) if draw.random() < 0.5 else None
        more = {"establishments": chosen, "search": search}
        yield table, question | {name: value for name, value in more.items() if value}
