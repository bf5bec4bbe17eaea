"""Reads of the schema `usage`; nothing is written here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ARRAY, ColumnElement, Select, Text, any_, bindparam, func, select, text, union_all
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from contracts.catalogue import GRAINS
from services.aggregator.query.sheets import Sheet, Span
from services.aggregator.tables import hours, sheets

_UAIS = bindparam("uais", type_=ARRAY(Text))


class HourSum(NamedTuple):
    """All agents' reports of one family in one hour of an establishment, added up."""

    uai: str
    family: int
    start: datetime
    total: int
    cut: bool


async def snapshot(connection: AsyncConnection) -> None:
    """Make the transaction read-only, and all its reads of one instant."""
    await connection.execute(text("set transaction isolation level repeatable read, read only"))


async def read_sheets(connection: AsyncConnection, uais: Sequence[str], spans: Iterable[Span]) -> list[Sheet]:
    """The sheets of these establishments in any of the spans."""
    asked = [_in_span(span) for span in spans]
    if not asked or not uais:
        return []
    rows = await connection.execute(union_all(*asked), {"uais": uais})
    return [Sheet(row.uai, GRAINS[row.grain], row.start, row.cells, row.cut_families, row.as_of) for row in rows]


def _in_span(span: Span) -> Select[tuple[str, int, object, bytes, int, datetime]]:
    return select(
        sheets.c.uai, sheets.c.grain, sheets.c.start, sheets.c.cells, sheets.c.cut_families, sheets.c.as_of
    ).where(
        sheets.c.grain == GRAINS.index(span.grain),
        sheets.c.start.between(span.first, span.last),
        _is_asked(sheets.c.uai),
    )


async def read_hours(
    connection: AsyncConnection, uais: Sequence[str], families: Iterable[int], first: datetime, end: datetime
) -> list[HourSum]:
    """The hour reports that start in [first, end), agents added up."""
    wanted = (
        select(
            hours.c.uai,
            hours.c.family,
            hours.c.start,
            func.sum(hours.c.total).label("total"),
            func.bool_or(hours.c.cut),
        )
        .where(hours.c.start >= first, hours.c.start < end, hours.c.family.in_(list(families)), _is_asked(hours.c.uai))
        .group_by(hours.c.uai, hours.c.family, hours.c.start)
    )
    rows = await connection.execute(wanted, {"uais": uais})
    return [HourSum(uai, family, start, int(total), cut) for uai, family, start, total, cut in rows.tuples()]


def _is_asked(column: ColumnElement[str]) -> ColumnElement[bool]:
    return column == any_(_UAIS)


async def is_ready(engine: AsyncEngine) -> bool:
    """PostgreSQL answers, and the aggregator has made its tables."""
    try:
        async with engine.connect() as connection:
            await connection.execute(select(sheets.c.uai).limit(0))
    except (DBAPIError, OSError):
        return False
    return True
