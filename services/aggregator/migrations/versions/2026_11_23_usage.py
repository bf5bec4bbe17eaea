"""The aggregator's first tables, and the function by which operators read packed rows."""

from __future__ import annotations

from alembic import op

revision = "2026_11_23_usage"
down_revision = None

LOCK_TIMEOUT = "set local lock_timeout = '10s'"

TABLES = """
create table usage.agents (
    number integer generated always as identity primary key,
    id text not null unique
);
comment on table usage.agents is 'Short numbers of the agents, so that a report''s key stays small.';

create table usage.reports (
    uai text collate "C" not null,
    family smallint not null,
    grain smallint not null,
    start date not null,
    agent integer not null,
    restatement bigint not null,
    cut boolean not null,
    as_of timestamptz not null,
    cells bytea not null,
    primary key (uai, family, grain, start, agent)
);
comment on table usage.reports is
    'Day, month and school-year reports: the greatest state known; `as_of` is the newest Kafka append time seen.';

create table usage.hours (
    uai text collate "C" not null,
    family smallint not null,
    start timestamptz not null,
    agent integer not null,
    restatement bigint not null,
    cut boolean not null,
    as_of timestamptz not null,
    total bigint not null,
    cells bytea not null,
    primary key (uai, family, start, agent)
);
comment on table usage.hours is
    'Hour reports, keyed by UTC instant; never folded. `total` is the sum of the counts; agents are added up.';

create table usage.sheets (
    uai text collate "C" not null,
    grain smallint not null,
    start date not null,
    cells bytea not null,
    folded bytea not null,
    cut_families bigint not null,
    as_of timestamptz not null,
    frozen boolean not null,
    primary key (uai, grain, start)
);
comment on table usage.sheets is
    'One day, month or school year of an establishment, all families. `cut_families`: bit n = family number n.';
create index sheets_by_period on usage.sheets (grain, start, uai);

create table usage.parked (
    agent text not null,
    uai text collate "C" not null,
    family text not null,
    grain smallint not null,
    start text not null,
    cause text not null,
    catalogue integer not null,
    restatement bigint not null,
    cut boolean not null,
    as_of timestamptz not null,
    parked_at timestamptz not null,
    cells bytea not null,
    primary key (agent, uai, family, grain, start)
);
comment on table usage.parked is
    'Reports that a grant or an upgrade may still let in; merged like reports, kept 35 days. `start` as reported.';

create table usage.outcomes (
    agent text not null,
    outcome text not null,
    cause text not null,
    count bigint not null,
    last_at timestamptz not null,
    primary key (agent, outcome, cause)
);
comment on table usage.outcomes is
    'What became of each agent''s reports; '''' gathers senders that no key vouches for. Redeliveries count again.';

create table usage.cells (
    code integer primary key,
    family text not null,
    measure text not null,
    profile text not null,
    channel text not null,
    access text not null,
    level text not null
);
comment on table usage.cells is
    'Names of the catalogue''s cells, written again at each start, for operators who read rows.'
"""

STORAGE = """
alter table usage.{table} alter column cells set storage external;
alter table usage.{table} set (toast_tuple_target = 8160)
"""

UNPACK = """
create function usage.unpack(packed bytea) returns table (code integer, count bigint)
    language sql immutable strict parallel safe as $$
        select
            get_byte(packed, 1 + 2 * i) + 256 * get_byte(packed, 2 + 2 * i),
            (select sum(get_byte(packed, 1 + 2 * n + w * i + k)::bigint << (8 * k)) from generate_series(0, w - 1) as k)::bigint
        from (select case when length(packed) > 0 then get_byte(packed, 0) else 1 end as w) as width,
            lateral (select (length(packed) - 1) / (2 + w) as n) as size,
            lateral generate_series(0, n - 1) as i
    $$
"""

NAMES = """
comment on function usage.unpack is 'Codes and counts of a packed row (contracts/packed.py), for operators: one row per cell.';

create view usage.sheet_cells as
    select sheets.uai, (array['hour', 'day', 'month', 'school_year'])[sheets.grain + 1] as grain, sheets.start,
        family, measure, profile, channel, access, level, code, count
    from usage.sheets, usage.unpack(sheets.cells)
    left join usage.cells using (code);
comment on view usage.sheet_cells is 'Every cell of every sheet by its name; ask for one establishment and period at a time.'
"""


def upgrade() -> None:
    op.execute(LOCK_TIMEOUT)
    _run(TABLES)
    for table in ("reports", "hours", "sheets", "parked"):
        _run(STORAGE.format(table=table))
    op.execute("alter table usage.sheets alter column folded set storage external")
    op.execute(UNPACK)
    _run(NAMES)


def _run(statements: str) -> None:
    """asyncpg takes one statement at a time."""
    for statement in statements.split(";\n"):
        op.execute(statement)
