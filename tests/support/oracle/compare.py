"""Differences between what the gateway answered and what the oracle counted, one readable line each."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, datetime
from math import isnan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.oracle.cells import Cell
    from tests.support.oracle.count import ExpectedTable

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""

ROUNDED = 0.05 + 1e-9
"""Percentages have one decimal."""

HALF_OF_A_MILLIONTH = 5.1e-7
"""Rates and shares are written with six decimals."""


def table_differences(answer: dict[str, Any], expected: ExpectedTable) -> list[str]:
    return [f"{expected.table} {expected.window.name} {expected.display}: {each}" for each in _table(answer, expected)]


def _table(answer: dict[str, Any], expected: ExpectedTable) -> Iterator[str]:
    heads = {
        "table": expected.table,
        "display": expected.display,
        "from": expected.window.first.isoformat(),
        "to": expected.window.last.isoformat(),
        "complete": expected.window.complete,
    }
    for name, value in heads.items():
        if answer[name] != value:
            yield f"{name}: expected {value}, got {answer[name]}"
    columns = [column["id"] for column in answer["columns"]]
    if sorted(columns) != sorted(expected.columns):
        yield f"columns: expected {list(expected.columns)}, got {columns}"
        return
    for column in answer["columns"]:
        if column["unit"] != (unit := expected.columns[column["id"]]):
            yield f"unit of {column['id']}: expected {unit}, got {column['unit']}"
    order = [row["uai"] for row in answer["rows"]]
    if order != expected.order:
        yield f"lines: expected {expected.order}, got {order}"
        return
    for row in answer["rows"]:
        for column, cell in zip(columns, row["cells"], strict=True):
            yield from _cell(f"{row['uai']} {column}", cell, expected.rows[row["uai"]][column], total=False)
    for column, cell in zip(columns, answer["total"], strict=True):
        yield from _cell(f"total {column}", cell, expected.total[column], total=True)
    yield from _extremes(answer, expected)


def _cell(where: str, got: dict[str, Any], expected: Cell, *, total: bool) -> Iterator[str]:
    """The share of a total is the product's to define: it must be there or not, but is not compared."""
    value = None if expected.value is None else float(expected.value)
    alike = (
        _close(got.get("value"), value)
        and got.get("state") == expected.state
        and (total or got.get("state") != "partial" or _close(got.get("share"), expected.share))
        and (not total or got.get("left_out", 0) == expected.left_out)
    )
    if not alike:
        yield f"{where}: expected {_told(expected)}, got {got}"


def _told(cell: Cell) -> str:
    value = None if cell.value is None else float(cell.value)
    return f"value={value} state={cell.state} share={cell.share} left_out={cell.left_out}"


def _close(got: float | None, expected: float | None) -> bool:
    if got is None or expected is None:
        return got is expected
    return isnan(expected) or abs(got - expected) <= HALF_OF_A_MILLIONTH


def _extremes(answer: dict[str, Any], expected: ExpectedTable) -> Iterator[str]:
    for column, (high, low) in expected.extremes.items():
        got = answer["extremes"].get(column, {"max": [], "min": []})
        if (set(got["max"]), set(got["min"])) != (high, low):
            yield f"extremes {column}: expected max={sorted(high)} min={sorted(low)}, got {got}"


def csv_differences(text: str, expected: ExpectedTable, answer: dict[str, Any]) -> list[str]:
    """`text` is the CSV of the French dialect; `answer` the JSON of the same question, for the columns' order and units."""
    return [
        f"{expected.table} {expected.window.name} {expected.display} CSV: {each}"
        for each in _csv(text, expected, answer)
    ]


def _csv(text: str, expected: ExpectedTable, answer: dict[str, Any]) -> Iterator[str]:
    if not text.startswith("\ufeff"):
        yield "no BOM"
    header, *lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=";", strict=True)
    columns = answer["columns"]
    if header[-1] != "Réserves" or len(lines) != 1 + len(expected.order):
        yield f"expected {1 + len(expected.order)} lines ending in Réserves, got {len(lines)}, {header[-1]}"
        return
    titles = header[-1 - len(columns) : -1]
    for title, column in zip(titles, columns, strict=True):
        if title.endswith("(%)") != (column["unit"] == "rate"):
            yield f"title {title!r} of a {column['unit']}"
    for uai, line in zip(["", *expected.order], lines, strict=True):
        yield from (f"{uai or 'total'} {each}" for each in _csv_line(uai, line, expected, columns))


def _csv_line(uai: str, line: list[str], expected: ExpectedTable, columns: list[dict[str, Any]]) -> Iterator[str]:
    cells = expected.rows[uai] if uai else expected.total
    if any(text.startswith(FORMULA) for text in line):
        yield f"a spreadsheet would run {line}"
    if uai and uai not in line[: len(line) - len(columns) - 1]:
        yield f"stands as {line}"
    for column, shown in zip(columns, line[-1 - len(columns) : -1], strict=True):
        if not _shown_as(cells[column["id"]], column["unit"], shown):
            yield f"{column['id']}: expected {_told(cells[column['id']])}, got {shown!r}"
    reserves = {f"{column['id']}={cells[column['id']].state}" for column in columns if cells[column["id"]].state}
    if set(re.split(r"[;,\s]+", line[-1].strip())) - {""} != reserves:
        yield f"Réserves: expected {sorted(reserves)}, got {line[-1]!r}"


def _shown_as(cell: Cell, unit: str, shown: str) -> bool:
    if cell.value is None:
        return shown == cell.state
    if unit == "count":
        return shown == str(int(cell.value))
    whole, comma, decimals = shown.partition(",")
    if unit == "ratio":
        # Doubt: no number of decimals is given for a ratio: it must be right to those that are shown, one at least.
        return bool(comma) and abs(float(f"{whole}.{decimals}") - float(cell.value)) <= 0.5 / 10 ** len(decimals) + 1e-9
    return bool(comma) and len(decimals) == 1 and abs(float(f"{whole}.{decimals}") - 100 * float(cell.value)) <= ROUNDED


def daily_differences(answer: dict[str, Any], expected: dict[date, tuple[Cell, Cell]]) -> list[str]:
    dates = [point["date"] for point in answer["points"]]
    if dates != [day.isoformat() for day in expected]:
        return [f"daily: expected {len(expected)} days from {min(expected)} to {max(expected)}, got {dates}"]
    return [
        difference
        for point, cells in zip(answer["points"], expected.values(), strict=True)
        for name, cell in zip(("connections", "people"), cells, strict=True)
        for difference in _cell(f"daily {point['date']} {name}", point[name], cell, total=True)
    ]


def hourly_differences(answer: dict[str, Any], expected: dict[tuple[date, int], Cell]) -> list[str]:
    keys = [(point["date"], point["hour"]) for point in answer["points"]]
    if keys != [(day.isoformat(), hour) for day, hour in expected]:
        return [f"hourly: expected {len(expected)} points, got {len(keys)}: {keys[:3]}…"]
    return [
        difference
        for point, cell in zip(answer["points"], expected.values(), strict=True)
        for difference in _cell(f"hourly {point['date']} {point['hour']}", point["connections"], cell, total=True)
    ]


def freshness_differences(answer: list[dict[str, Any]], expected: dict[str, datetime | None]) -> list[str]:
    """Within the hour: what is reported is how many minutes of an hour were observed, not which."""
    found = []
    for line in answer:
        hour, until = expected.get(line["uai"]), line["observed_until"]
        instant = None if until is None else datetime.fromisoformat(until)
        alike = instant is hour if hour is None or instant is None else 0 < (instant - hour).total_seconds() <= 3600
        if not alike:
            found.append(f"freshness {line['uai']} {line['family']}: expected within the hour of {hour}, got {until}")
    return found + [
        f"freshness: nothing about {uai}" for uai in expected if uai not in {each["uai"] for each in answer}
    ]
