"""Upgrade to head on a real PostgreSQL gives what tables.py declares, and rows that operators can read."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from chassis.database import create_engine, migrate
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
