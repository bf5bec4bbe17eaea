"""A table as CSV, exactly what its reader sees: titles, totals, lines (rules.md 10). Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from contracts.answers import AnswerCell, AnswerColumn, AnswerRow, TableAnswer

RESERVES = "Réserves"
"""Title of the last column, in both dialects: cells that hold a state, as `column=state` separated by spaces."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the start of a formula (OWASP's list, full-width forms included)."""
BOM = "\ufeff"
_TENTH = Decimal("0.1")


@dataclass(frozen=True)
class Dialect:
    """How numbers and titles are written."""

    delimiter: str
    decimal: str
    bom: str
    head: tuple[str, str, str]
    ids: bool


FRENCH = Dialect(";", ",", BOM, ("UAI", "Nom", "Codes postaux"), ids=False)
RFC4180 = Dialect(",", ".", "", ("uai", "name", "postal_codes"), ids=True)
DIALECTS = {"fr": FRENCH, "rfc4180": RFC4180}


def as_csv(answer: TableAnswer, dialect: Dialect = FRENCH) -> bytes:
    """The table in UTF-8: titles, the totals line, then the lines in the order of the answer."""
    text = io.StringIO(newline="")
    text.write(dialect.bom)
    csv.writer(text, delimiter=dialect.delimiter, lineterminator="\r\n").writerows(_lines(answer, dialect))
    return text.getvalue().encode()


def file_name(answer: TableAnswer) -> str:
    """A name that says what the file holds, in ASCII."""
    return f"{answer.table}_{answer.display}_{answer.first_day.isoformat()}_{answer.last_day.isoformat()}.csv"


def _lines(answer: TableAnswer, dialect: Dialect) -> Iterator[list[str]]:
    yield [*dialect.head, *(_title(column, dialect) for column in answer.columns), RESERVES]
    yield ["", "Total", "", *_cells(answer.columns, answer.total, dialect)]
    for row in answer.rows:
        yield [*_who(row), *_cells(answer.columns, row.cells, dialect)]


def _title(column: AnswerColumn, dialect: Dialect) -> str:
    if dialect.ids:
        return guarded(column.id)
    title = column.label if column.label == column.group or not column.group else f"{column.group} · {column.label}"
    told = f"{title} — {', '.join(column.notes)}" if column.notes else title
    return guarded(f"{told} (%)" if column.unit == "rate" else told)


def _who(row: AnswerRow) -> list[str]:
    return [guarded(row.uai), guarded(row.name), guarded(" ".join(row.postal_codes))]


def guarded(text: str) -> str:
    """Text that a spreadsheet shows instead of running it: an apostrophe stands before what would start a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text


def _cells(columns: Sequence[AnswerColumn], cells: Sequence[AnswerCell], dialect: Dialect) -> list[str]:
    pairs = list(zip(columns, cells, strict=True))
    reserves = " ".join(f"{column.id}={cell.state}" for column, cell in pairs if cell.state)
    return [*(_number(column, cell, dialect) for column, cell in pairs), reserves]


def _number(column: AnswerColumn, cell: AnswerCell, dialect: Dialect) -> str:
    if cell.value is None:
        return cell.state or ""
    if column.unit == "count":
        return str(int(cell.value))
    exact = Decimal(repr(cell.value))
    if column.unit == "rate" and not dialect.ids:
        exact = (exact * 100).quantize(_TENTH, ROUND_HALF_UP)
    return f"{exact:f}".replace(".", dialect.decimal)
