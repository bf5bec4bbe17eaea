"""Reads of the schema `usage`; nothing is written here."""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Date,
    Row,
    Select,
    Text,
    TextClause,
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

from contracts.catalogue import CATALOGUE, GRAINS
from services.aggregator.bundle import unpack
from services.aggregator.cells import Ints
from services.aggregator.query.freshness import Observed
from services.aggregator.query.hourly import FAMILIES, Hours
from services.aggregator.query.observation import ACCESS_LOG, JOURNAL
from services.aggregator.query.sheets import NEVER, Batch, Mark, Period, Span
from services.aggregator.reports import Bools, Reports
from services.aggregator.reports import Period as ReportedPeriod
from services.aggregator.states import as_states
from services.aggregator.tables import bundles, sheets

_UAIS = bindparam("uais", type_=ARRAY(Text))
_NOTHING: Mapping[Period, Mark] = {}
_NEWEST = 2
"""Days looked at per source to find its last observed minute: the newest may hold no minute yet."""


def _is_asked(column: ColumnElement[str]) -> ColumnElement[bool]:
    return column == any_(_UAIS)


async def snapshot(connection: AsyncConnection) -> None:
    """Make the transaction read-only, and all its reads of one instant."""
    await connection.execute(text("set transaction isolation level repeatable read, read only"))


async def read_sheets(
    connection: AsyncConnection, uais: Sequence[str], spans: Iterable[Span], known: Mapping[Period, Mark] = _NOTHING
) -> list[Batch]:
    """The sheets of these establishments in any of the spans, a batch per period; of `known` periods what changed since."""
    periods = list(dict.fromkeys(period for span in spans for period in span.periods))
    if not periods or not uais:
        return []
    marks = [known.get(period, NEVER) for period in periods]
    asked = {
        "uais": uais,
        "grains": [GRAINS.index(grain) for grain, _ in periods],
        "starts": [start for _, start in periods],
        "snapshots": [mark.snapshot for mark in marks],
        "horizons": [mark.horizon for mark in marks],
    }
    statement = _SHEETS_OF_FEW if len(uais) < MANY else _SHEETS_OF_MANY
    return [_batch(row) for row in await connection.execute(statement, asked)]


def _batch(row: Row[Any]) -> Batch:
    return Batch(
        GRAINS[row.grain],
        row.start,
        row.uais or (),
        row.cells or (),
        row.cut_families or (),
        row.as_ofs or (),
        row.held if row.moved else None,
        Mark(row.snapshot, row.horizon),
    )


_NOW = """
(select pg_current_snapshot()::text as snapshot, pg_snapshot_xmin(pg_current_snapshot())::text as horizon offset 0) as now
"""
_SHEETS = """
select asked.grain, asked.start, asked.snapshot is distinct from now.snapshot as moved, now.snapshot, now.horizon, of_period.*
from {now},
    (select grain, start, snapshot, age(nullif(horizon, '')::xid8::xid) as age
        from unnest(:grains ::smallint[], :starts ::date[], :snapshots ::text[], :horizons ::text[])
            as known (grain, start, snapshot, horizon) offset 0) as asked,
    lateral (
        select count(*) as held, array_agg(uai) filter (where newer) as uais, array_agg(cells) filter (where newer) as cells,
            array_agg(cut_families) filter (where newer) as cut_families, array_agg(as_of) filter (where newer) as as_ofs
        from (
            select uai, cells, cut_families, as_of, asked.age is null or age(s.xmin) <= asked.age as newer
            from usage.sheets s
            where asked.snapshot <> now.snapshot and s.grain = asked.grain and s.start = asked.start and {uai} = any(:uais)
            offset 0
        ) as sheet
    ) as of_period
"""
"""One row per period asked for; periods are a relation, so that one statement serves all questions.

What was committed since an earlier snapshot was written by a transaction that had not ended then, hence not older than its
horizon: a row's `xmin` tells it, whoever wrote. What was deleted is missing from the number of rows. Equal snapshots see the
same, and nothing needs to be looked at. An age is the distance of a transaction from the newest, whatever 2**32 they passed.
"""


def _sheets(uai: str) -> TextClause:
    return text(_SHEETS.format(now=_NOW, uai=uai)).bindparams(_UAIS)


_SHEETS_OF_FEW, _SHEETS_OF_MANY = _sheets("s.uai"), _sheets("s.uai || ''")
MANY = 100
"""From so many establishments on, walking a period's sheets costs less than looking each one up (7 ms a thousand).

For that the UAI is made an expression, which no index serves: the periods are walked and establishments hashed.
"""


class Hold(NamedTuple):
    """How many rows of hours a day had at a mark."""

    held: int
    mark: Mark


async def read_days_moved(
    connection: AsyncConnection, uais: Sequence[str], days: Sequence[date], known: Mapping[date, Hold]
) -> tuple[set[date], Mark]:
    """Of these UTC days those whose hours are not known, or may be other than known; and the mark of this transaction."""
    asked = {
        "uais": uais,
        "days": days,
        "held": [known[day].held if day in known else -1 for day in days],
        "snapshots": [known[day].mark.snapshot if day in known else "" for day in days],
        "horizons": [known[day].mark.horizon if day in known else "" for day in days],
        "families": _HOURLY,
    }
    rows = (await connection.execute(_DAYS_MOVED, asked)).all()
    return {row.start for row in rows if row.moved}, Mark(rows[0].snapshot, rows[0].horizon)


_HOURLY = sum(1 << CATALOGUE.families[family].number for family in FAMILIES)
_MOVED = """
select asked.start, now.snapshot, now.horizon, asked.held < 0
    or asked.snapshot <> now.snapshot and (of_day.held <> asked.held or coalesce(of_day.newer, false)) as moved
from {now},
    (select start, held, snapshot, age(nullif(horizon, '')::xid8::xid) as age
        from unnest(:days ::date[], :held ::int[], :snapshots ::text[], :horizons ::text[])
            as known (start, held, snapshot, horizon) offset 0) as asked,
    lateral (
        select count(*) as held, bool_or(age(b.xmin) <= asked.age) as newer
        from usage.bundles b
        where asked.held >= 0 and asked.snapshot <> now.snapshot and b.grain = {hour}
            and b.start = asked.start and b.families & :families <> 0 and b.uai = any(:uais)
    ) as of_day
"""
_DAYS_MOVED = text(_MOVED.format(now=_NOW, hour=GRAINS.index("hour"))).bindparams(_UAIS)


async def read_hours(
    connection: AsyncConnection, uais: Sequence[str], days: Iterable[date]
) -> dict[date, tuple[int, list[Hours]]]:
    """The hours of these UTC days: how many rows each day has, and what they hold; a row holds all hours of a UTC day."""
    rows = (await connection.execute(_HOURS, {"uais": uais, "days": list(days)})).all()
    by_day: defaultdict[date, list[tuple[str, bytes]]] = defaultdict(list)
    for uai, day, packed in rows:
        by_day[day].append((uai, packed))
    return {day: (len(by_day[day]), _hours_of(day, by_day[day])) for day in days}


_HOURS = (
    select(bundles.c.uai, bundles.c.start, bundles.c.reports)
    .where(
        bundles.c.grain == GRAINS.index("hour"),
        bundles.c.start == any_(bindparam("days", type_=ARRAY(Date))),
        bundles.c.families.op("&")(_HOURLY) != 0,
        _is_asked(bundles.c.uai),
    )
    .order_by(bundles.c.uai)
)


def _hours_of(day: date, rows: Sequence[tuple[str, bytes]]) -> list[Hours]:
    if not rows:
        return []
    uais, packed = zip(*rows, strict=True)
    reports = unpack(range(len(packed)), packed).in_order()
    starts = calendar.timegm(day.timetuple()) + reports.quarters * 900
    numbers = [CATALOGUE.families[family].number for family in FAMILIES]
    masks = [(number, reports.families == number) for number in numbers]
    return [_hours(number, uais, reports, starts, mask) for number, mask in masks if mask.any()]


def _hours(family: int, uais: Sequence[str], reports: Reports, starts: Ints, asked: Bools) -> Hours:
    """Hours of one family; `uais` in order, one of each row that was read."""
    names, lines = np.unique(uais, return_inverse=True)
    sizes = np.bincount(lines[reports.periods[asked]], minlength=len(names))
    totals = reports.sums()[asked].astype(np.float64)
    filled = np.flatnonzero(sizes)
    return Hours(family, names[filled].tolist(), sizes[filled].tolist(), starts[asked], totals, reports.cuts[asked])


async def read_last_observed(connection: AsyncConnection, uais: Sequence[str]) -> list[Observed]:
    """The newest day reports of each source of each establishment: a few of them, since agents may share a day."""
    rows = (await connection.execute(union_all(*map(_newest, (JOURNAL, ACCESS_LOG))), {"uais": uais})).all()
    periods = [ReportedPeriod(row.uai, GRAINS.index("day"), row.start.toordinal()) for row in rows]
    reports = unpack(range(len(rows)), [row.reports for row in rows])
    asked = np.array([CATALOGUE.families[row.family].number for row in rows], np.int64)
    names = {family.number: family.name for family in CATALOGUE.families.values()}
    return [
        Observed(key.uai, names[key.family], date.fromordinal(key.start), state.cells)
        for key, state in as_states(periods, reports.where(reports.families == asked[reports.periods]))
    ]


def _newest(family: str) -> Select[tuple[str, str, date, bytes]]:
    asked = func.unnest(_UAIS).table_valued("uai", name="asked").render_derived()
    newest = (
        select(bundles.c.start, bundles.c.reports)
        .where(
            bundles.c.uai == asked.c.uai,
            bundles.c.grain == GRAINS.index("day"),
            bundles.c.families.op("&")(1 << CATALOGUE.families[family].number) != 0,
        )
        .order_by(bundles.c.start.desc())
        .limit(_NEWEST)
        .lateral("newest")
    )
    return select(asked.c.uai, literal(family).label("family"), newest.c.start, newest.c.reports).join_from(
        asked, newest, true()
    )


async def is_ready(engine: AsyncEngine) -> bool:
    """PostgreSQL answers, and the aggregator has made its tables; asked by name, since a failed read is logged there."""
    try:
        async with engine.connect() as connection:
            return await connection.scalar(select(func.to_regclass(sheets.fullname).is_not(None))) is True
    except (DBAPIError, OSError):
        return False
