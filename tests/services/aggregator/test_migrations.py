"""Upgrade to head on a real PostgreSQL gives what tables.py declares, and rows that operators can read."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.database import alembic_config, create_engine, migrate
from contracts.packed import pack
from services.aggregator.store import MIGRATIONS
from services.aggregator.tables import SCHEMA, metadata

pytestmark = pytest.mark.connected


async def test_head_is_what_the_tables_say(usage_database: str):
    engine = create_engine(usage_database, application="test")
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    await engine.dispose()


def _differences(connection: Connection) -> list[object]:
    connection.dialect.default_schema_name = "public"  # so that the role's own schema is read under its name
    options = {"include_schemas": True, "include_name": _ours, "version_table_schema": SCHEMA}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def _ours(name: str | None, kind: str, _: object) -> bool:
    return name == SCHEMA if kind == "schema" else name != "alembic_version"


async def test_reports_kept_one_a_row_are_the_same_in_bundles(usage_database: str):
    """Upgraded with data in it: what the views say afterwards is what the tables said before."""
    engine = create_engine(usage_database, application="test")
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade_to, "2026_11_23_usage")
        await connection.execute(text(_OLD_REPORTS))
        await connection.execute(text(_OLD_HOURS))
        reports, hours = await _all(connection, "reports"), await _all(connection, "hours")
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    async with engine.connect() as connection:
        assert await _all(connection, "reports") == reports
        assert await _all(connection, "hours") == hours
        assert (await connection.execute(text("select count(*) from usage.bundles"))).scalar() == 4
        known = await connection.execute(text("select uai, family, agent, highest from usage.restatements"))
        assert [tuple(row) for row in known] == [("0750001A", 2, 70000, 1_773_000_000)]
    await engine.dispose()


def _upgrade_to(connection: Connection, revision: str) -> None:
    command.upgrade(alembic_config(MIGRATIONS, SCHEMA, connection), revision)


async def _all(connection: AsyncConnection, table: str) -> list[tuple[object, ...]]:
    names = "uai, family, start, agent, restatement, cut, as_of, cells"
    rows = await connection.execute(text(f"select {names} from usage.{table} order by 1, 2, 3, 4"))
    return [tuple(row) for row in rows]


_OLD_REPORTS = """
insert into usage.reports (uai, family, grain, start, agent, restatement, cut, as_of, cells) values
    ('0750001A', 0, 1, '2026-03-16', 1, 0, true, '2026-03-17 10:00:00.123+00', '\\x0105000700ff01'),
    ('0750001A', 2, 1, '2026-03-16', 70000, 1773000000, false, '2026-03-17 11:00+00', ''),
    ('0750001A', 2, 3, '2025-09-01', 1, 0, false, '2026-03-17 11:00+00', '\\x020500e803'),
    ('0750002B', 2, 2, '2026-03-01', 2, 0, false, '2026-03-17 11:00+00', '\\x01050003')
"""
_OLD_HOURS = """
insert into usage.hours (uai, family, start, agent, restatement, cut, as_of, total, cells) values
    ('0750001A', 0, '2026-03-16 09:30+00', 1, 0, false, '2026-03-17 10:00+00', 3, '\\x01050003')
"""


@pytest.mark.parametrize("counts", [[], [0, 1, 255], [1, 256], [65_536, 2], [2**40, 7]])
async def test_operators_read_packed_rows(usage_database: str, counts: list[int]):
    engine = create_engine(usage_database, application="test")
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    codes = [5, 300, 65_535][: len(counts)]
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("select code, count from usage.unpack(:packed)"), {"packed": pack(codes, counts)}
        )
        assert [tuple(row) for row in rows] == list(zip(codes, counts, strict=True))
    await engine.dispose()
