"""docs/reference.md: the 80 indicators and every column, written from the catalogue so that it cannot say anything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from contracts.catalogue import CATALOGUE, Column, Table

INTRODUCTION = """# Reference of indicators and columns

Written by `territoriale catalogue --reference` from `contracts/catalogue/`; a test says when it is stale. Do not edit.

A first year *Y* is the school year that begins on 1 September of *Y*; *A–B* means that from *A* to *B* a component was missing (`partial`).
Who: *authority* and establishment see it, or the *establishment* alone (and an authority that is joint controller for it).
Origin: *observed* in a journal, *presumed* from an access log, *declared* in a census.
Why totals may differ from one page to another: [totals.md](totals.md)."""
_BY = {
    "window": "by window",
    "past-days": "by window, as far as its days are over",
    "school-year": "by school year (the one of a window's last day)",
}


def reference() -> str:
    """The whole document."""
    parts = [
        INTRODUCTION,
        _indicators(),
        *(_page(page.id, page.label) for page in CATALOGUE.pages.values()),
        _remarks(),
    ]
    return "\n\n".join(parts) + "\n"


def _indicators() -> str:
    shown = {number: list(_places(number)) for number in CATALOGUE.indicators}
    rows = (
        (
            str(indicator.number),
            indicator.theme,
            indicator.title,
            _years(indicator.available_since, indicator.complete_since),
            _audience(indicator.audience),
            indicator.recipient_purpose,
            ", ".join(shown[indicator.number]),
        )
        for indicator in CATALOGUE.indicators.values()
    )
    head = ("No.", "Theme", "Indicator", "Since", "Who", "Purpose", "Shown by")
    return "## The 80 indicators\n\n" + _table(head, rows)


def _places(number: int) -> Iterator[str]:
    """Tables that are the indicator, or whose columns are or detail it."""
    for table in CATALOGUE.tables.values():
        columns = [column.id for column in table.columns if column.indicator == number]
        if table.reference == number or (columns and table.columns[0].level):
            yield f"`{table.id}`"
        elif columns:
            yield f"`{table.id}`: {' '.join(columns)}"


def _page(page: str, label: str) -> str:
    tables = [table for table in CATALOGUE.tables.values() if table.page == page]
    parts = [f"## {label}", *(_columns(table) for table in tables if not table.columns[0].level)]
    by_level = [table for table in tables if table.columns[0].level]
    return "\n\n".join([*parts, *([_levels(by_level)] if by_level else [])])


def _columns(table: Table) -> str:
    head = ("Column", "Title", "No.", "What it is", "Value", "In Taux", "Since", "Who", "Origin")
    rows = (
        (
            f"`{column.id}`" + ("" if column.on_page else " *"),
            f"{column.group} · {column.label}",
            *_card(table, column),
        )
        for column in table.columns
    )
    displays = "values and rates" if "rates" in table.displays else "values only"
    more = "" if all(column.on_page for column in table.columns) else " * only with `columns=all`."
    return f"### {table.label} (`{table.id}`)\n\n{_sentence(_BY[table.by])}; {displays}.{more}\n\n{_table(head, rows)}"


def _levels(tables: Iterable[Table]) -> str:
    """Tables by levels, one line each: their columns differ by the level alone."""
    head = ("Table", "Title", "No.", "What it is", "Value", "In Taux", "Since", "Who", "Origin")
    rows = ((f"`{table.id}`", table.label, *_card(table, table.columns[0])) for table in tables)
    return f"### Détails par niveaux\n\nOne column per level; values and rates.\n\n{_table(head, rows)}"


def _card(table: Table, column: Column) -> tuple[str, ...]:
    card = CATALOGUE.definitions.of(table, column, "en")
    return (
        str(card.indicator),
        f"{card.text} {card.note}".strip(),
        card.formula,
        card.rate,
        _years(card.since, card.complete_since),
        _audience(card.audience),
        ", ".join(card.origin),
    )


def _remarks() -> str:
    """What cards say of every column of a kind, once each."""
    cards = (
        CATALOGUE.definitions.of(table, column, "en") for table in CATALOGUE.tables.values() for column in table.columns
    )
    told = dict.fromkeys(remark for card in cards for remark in card.remarks)
    return "## What holds for columns of a kind\n\n" + "\n".join(f"- {remark}" for remark in told)


def _years(since: int, complete: int) -> str:
    return str(since) if since == complete else f"{since}–{complete}"


def _audience(audience: tuple[str, ...]) -> str:
    if "authority" in audience:
        return "authority"
    return "establishment" if "establishment" in audience else "as its members"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
