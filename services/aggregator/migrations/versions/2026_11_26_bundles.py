"""All reports of a period in one row; `usage.reports` and `usage.hours` become views over it, for operators."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from services.aggregator.bundle import pack
from services.aggregator.reports import families_of
from services.aggregator.states import Key, State, as_columns

revision = "2026_11_26_bundles"
down_revision = "2026_11_23_usage"

LOCK_TIMEOUT = "set local lock_timeout = '10s'"

TABLE = """
create table usage.bundles (
    uai text collate "C" not null,
    grain smallint not null,
    start date not null,
    families bigint not null,
    reports bytea not null,
    primary key (uai, grain, start)
);
comment on table usage.bundles is
    'All reports of one establishment and period, packed; of hours those of a UTC day. `families`: bit n = family number n.';
alter table usage.bundles alter column reports set storage external;
alter table usage.bundles set (toast_tuple_target = 8160)
"""

UINT = """
create function usage.uint(packed bytea, at integer, width integer) returns bigint
    language sql immutable strict parallel safe as $$
        select sum(get_byte(packed, at + k)::bigint << (8 * k))::bigint from generate_series(0, width - 1) as k
    $$
"""

UNBUNDLE = """
create function usage.unbundle(bundle bytea) returns table
    (family smallint, quarter smallint, agent integer, restatement bigint, cut boolean, as_of timestamptz, cells bytea)
    language plpgsql immutable strict parallel safe as $$
    declare
        wide boolean := get_byte(bundle, 0) = 1;
        width integer := get_byte(bundle, 1);
        n integer := usage.uint(bundle, 2, 4);
        newest bigint := usage.uint(bundle, 6, 8);
        item integer := case when wide then 25 else 11 end;
        codes_at integer := 14 + n * item;
        counts_at integer := codes_at + 2 * ((length(bundle) - codes_at) / (2 + width));
        at integer;
        size integer;
        done integer := 0;
    begin
        for i in 0 .. n - 1 loop
            at := 14 + i * item;
            size := usage.uint(bundle, at + 2, 2);
            family := get_byte(bundle, at);
            quarter := get_byte(bundle, at + 1);
            cut := get_byte(bundle, at + 4) = 1;
            agent := usage.uint(bundle, at + 5, case when wide then 4 else 2 end);
            as_of := timestamptz 'epoch' + interval '1 millisecond'
                * (newest - case when wide then usage.uint(bundle, at + 9, 8) else usage.uint(bundle, at + 7, 4) end);
            restatement := case when wide then usage.uint(bundle, at + 17, 8) else 0 end;
            cells := case when size = 0 then '' else set_byte('\\x00', 0, width)
                || substr(bundle, codes_at + 2 * done + 1, 2 * size) || substr(bundle, counts_at + width * done + 1, width * size) end;
            done := done + size;
            return next;
        end loop;
    end
    $$
"""

VIEWS = """
comment on function usage.unbundle is 'The reports of one bundle (services/aggregator/bundle.py), one row each, for operators.';

create view usage.reports as
    select bundles.uai, report.family, bundles.grain, bundles.start, report.agent, report.restatement, report.cut,
        report.as_of, report.cells
    from usage.bundles, usage.unbundle(bundles.reports) as report
    where bundles.grain > 0;
comment on view usage.reports is
    'Day, month and school-year reports: the greatest state known; `as_of` is the newest Kafka append time seen.';

create view usage.hours as
    select bundles.uai, report.family, bundles.start::timestamp at time zone 'UTC' + report.quarter * interval '15 minutes' as start,
        report.agent, report.restatement, report.cut, report.as_of,
        (select coalesce(sum(count), 0)::bigint from usage.unpack(report.cells)) as total, report.cells
    from usage.bundles, usage.unbundle(bundles.reports) as report
    where bundles.grain = 0;
comment on view usage.hours is
    'Hour reports, by UTC instant; never folded. `total` is the sum of the counts; agents are added up.'
"""

REPORTS = "select uai, family, grain, start - (date '0001-01-01' - 1), agent, restatement, cut, {ms}, cells from usage.reports"
HOURS = (
    "select uai, family, 0, extract(epoch from start)::bigint, agent, restatement, cut, {ms}, cells from usage.hours"
)
MS = "(extract(epoch from as_of) * 1000)::bigint"


def upgrade() -> None:
    op.execute(LOCK_TIMEOUT)
    op.execute("lock table usage.reports, usage.hours in access exclusive mode")
    _run(TABLE)
    for uai in _uais():
        _bundle(uai)
    op.execute("drop table usage.reports")
    op.execute("drop table usage.hours")
    op.execute(UINT)
    op.execute(UNBUNDLE)
    _run(VIEWS)


def _uais() -> list[str]:
    rows = op.get_bind().execute(sa.text("select uai from usage.reports union select uai from usage.hours"))
    return [row[0] for row in rows]


def _bundle(uai: str) -> None:
    """Move the reports of one establishment; an hour that starts at no quarter (no zone has such) is left behind."""
    states = [(key, state) for key, state in _states(uai) if key.grain or key.start % 900 == 0]
    periods, reports = as_columns(states)
    reports = reports.in_order()
    rows = [
        {"uai": period.uai, "grain": period.grain, "start": period.start, "families": families, "reports": bundle}
        for period, families, bundle in zip(
            periods, families_of(reports, len(periods)), pack(reports, len(periods)), strict=True
        )
    ]
    if rows:
        insert = "insert into usage.bundles values (:uai, :grain, date '0001-01-01' - 1 + :start, :families, :reports)"
        op.get_bind().execute(sa.text(insert).bindparams(sa.bindparam("start", type_=sa.Integer)), rows)


def _states(uai: str) -> Iterator[tuple[Key, State]]:
    for query in (REPORTS, HOURS):
        rows = op.get_bind().execute(sa.text(f"{query.format(ms=MS)} where uai = :uai"), {"uai": uai})
        yield from ((Key(*row[:5]), State(*row[5:])) for row in rows)


def _run(statements: str) -> None:
    """asyncpg takes one statement at a time."""
    for statement in statements.split(";\n"):
        op.execute(statement)
