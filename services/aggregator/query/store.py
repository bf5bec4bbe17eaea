"""Reads of the schema `usage`; nothing is written here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Date,
    Select,
    SmallInteger,
    Text,
    any_,
    bindparam,
    func,
    literal,
    select,
    text,
    true,
    union_all,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import NULLTYPE

from contracts.catalogue import CATALOGUE, GRAINS
from services.aggregator.query.freshness import Observed
from services.aggregator.query.hourly import Hours
from services.aggregator.query.observation import ACCESS_LOG, JOURNAL
from services.aggregator.query.sheets import Batch, Span
from services.aggregator.tables import hours, reports, sheets

_UAIS = bindparam("uais", type_=ARRAY(Text))
_NEWEST = 4
"""Reports looked at per source to find its last observed minute: two agents on a day that changes hands, and the day before."""


def _is_asked(column: ColumnElement[str]) -> ColumnElement[bool]:
    return column == any_(_UAIS)


async def snapshot(connection: AsyncConnection) -> None:
    """Make the transaction read-only, and all its reads of one instant."""
    await connection.execute(text("set transaction isolation level repeatable read, read only"))


async def read_sheets(connection: AsyncConnection, uais: Sequence[str], spans: Iterable[Span]) -> list[Batch]:
    """The sheets of these establishments in any of the spans, one batch per period that has any."""
    periods = {period for span in spans for period in span.periods}
    if not periods or not uais:
        return []
    grains, starts = zip(*periods, strict=True)
    asked = {"uais": uais, "grains": [GRAINS.index(grain) for grain in grains], "starts": starts}
    statement = _SHEETS_OF_FEW if len(uais) < MANY else _SHEETS_OF_MANY
    rows: Sequence[Any] = (await connection.execute(statement, asked)).all()
    return [Batch(GRAINS[grain], *of_period) for grain, *of_period in rows]


def _sheets(*, many: bool) -> Select[Any]:
    """One row per period asked for; periods are a relation, so that one statement serves all questions.

    For `many` the UAI is made an expression, which no index serves: the periods are walked and establishments hashed.
    """
    uai: ColumnElement[str] = sheets.c.uai.concat("") if many else sheets.c.uai
    grains, starts = bindparam("grains", type_=ARRAY(SmallInteger)), bindparam("starts", type_=ARRAY(Date))
    asked = func.unnest(grains, starts).table_valued("grain", "start", name="asked").render_derived()
    of_period = (
        select(_all(sheets.c.uai), _all(sheets.c.cells), _all(sheets.c.cut_families), func.max(sheets.c.as_of))
        .where(sheets.c.grain == asked.c.grain, sheets.c.start == asked.c.start, _is_asked(uai))
        .having(func.count() > 0)
        .lateral("of_period")
    )
    return select(asked.c.grain, asked.c.start, of_period).join_from(asked, of_period, true())


def _all(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column's values as the list that asyncpg makes of them; SQLAlchemy's own type would go through it once more."""
    return func.array_agg(column, type_=NULLTYPE).label(f"all_{column.key}")


_SHEETS_OF_FEW, _SHEETS_OF_MANY = _sheets(many=False), _sheets(many=True)
MANY = 100
"""From so many establishments on, walking a period's sheets costs less than looking each one up (7 ms a thousand)."""


async def read_hours(
    connection: AsyncConnection, uais: Sequence[str], families: Iterable[str], first: datetime, end: datetime
) -> list[Hours]:
    """The hour reports that start in [first, end), packed by PostgreSQL: half a million hours stay quick."""
    start, total = func.timestamptz_send(hours.c.start), func.int8send(hours.c.total)
    packed = start.op("||")(total).op("||")(func.boolsend(hours.c.cut))
    wanted = (
        select(hours.c.uai, hours.c.family, func.string_agg(packed, literal(b"")).label("reports"))
        .where(
            hours.c.start >= first,
            hours.c.start < end,
            hours.c.family.in_([CATALOGUE.families[family].number for family in families]),
            _is_asked(hours.c.uai),
        )
        .group_by(hours.c.uai, hours.c.family)
    )
    by_family: dict[int, list[tuple[str, bytes]]] = {}
    for uai, family, packed_hours in await connection.execute(wanted, {"uais": uais}):
        by_family.setdefault(family, []).append((uai, packed_hours))
    return [_hours(family, rows) for family, rows in by_family.items()]


_STORED_HOUR = np.dtype([("start", ">i8"), ("total", ">i8"), ("cut", "?")])
"""PostgreSQL's own bytes: microseconds since 2000 in UTC, connections, whether the report is cut."""
_2000 = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())


def _hours(family: int, rows: Sequence[tuple[str, bytes]]) -> Hours:
    uais, packed = zip(*rows, strict=True)
    reports = np.frombuffer(b"".join(packed), _STORED_HOUR)
    return Hours(
        family,
        uais,
        [len(part) // _STORED_HOUR.itemsize for part in packed],
        reports["start"] // 1_000_000 + _2000,
        reports["total"].astype(np.float64),
        reports["cut"],
    )


async def read_last_observed(connection: AsyncConnection, uais: Sequence[str]) -> list[Observed]:
    """The newest day reports of each source of each establishment: a few of them, since agents may share a day."""
    rows = await connection.execute(union_all(*map(_newest, (JOURNAL, ACCESS_LOG))), {"uais": uais})
    return [Observed(row.uai, row.family, row.start, row.cells) for row in rows]


def _newest(family: str) -> Select[tuple[str, str, date, bytes]]:
    asked = func.unnest(_UAIS).table_valued("uai", name="asked").render_derived()
    newest = (
        select(reports.c.start, reports.c.cells)
        .where(
            reports.c.uai == asked.c.uai,
            reports.c.family == CATALOGUE.families[family].number,
            reports.c.grain == GRAINS.index("day"),
        )
        .order_by(reports.c.start.desc())
        .limit(_NEWEST)
        .lateral("newest")
    )
    return select(asked.c.uai, literal(family).label("family"), newest.c.start, newest.c.cells).join_from(
        asked, newest, true()
    )


async def is_ready(engine: AsyncEngine) -> bool:
    """PostgreSQL answers, and the aggregator has made its tables; asked by name, since a failed read is logged there."""
    try:
        async with engine.connect() as connection:
            return await connection.scalar(select(func.to_regclass(sheets.fullname).is_not(None))) is True
    except (DBAPIError, OSError):
        return False
