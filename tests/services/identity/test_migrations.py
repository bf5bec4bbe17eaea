"""Upgrade to head on a real PostgreSQL gives what tables.py declares."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from chassis.database import create_engine, migrate
from services.identity.app import MIGRATIONS
from services.identity.tables import SCHEMA, metadata
from tests.support.servers import Database

pytestmark = pytest.mark.connected


async def test_head_is_what_the_tables_say(database: Database):
    engine = create_engine(database.identity, application="test")
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    await engine.dispose()
    # Seen by another role, whose default schema is not the one compared.
    onlooker = create_engine(database.admin, application="test")
    async with onlooker.connect() as connection:
        assert await connection.run_sync(_differences) == []
    await onlooker.dispose()


async def test_an_establishment_with_a_convention_becomes_a_member(database: Database):
    engine = create_engine(database.identity, application="test")
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    async with engine.begin() as connection:
        await connection.execute(text("drop table identity.memberships"))
        await connection.execute(text("update identity.alembic_version set version_num = '2026_11_25_fleet'"))
        await connection.execute(text("insert into identity.territories (id, name, zone) values ('d086', 'V', 'UTC')"))
        await connection.execute(
            text(
                "insert into identity.establishments (uai, name, type, zone) values ('0750001D', 'C', 'college', 'UTC')"
            )
        )
        for end in ("'2026-01-01'", "null"):
            values = f"('d086', '0750001D', 'consent', '2026-01-01', {end})"
            insert = "insert into identity.conventions (territory, uai, kind, valid_from, valid_to) values"
            await connection.execute(text(f"{insert} {values}"))
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    async with engine.connect() as connection:
        found = await connection.execute(text("select territory, uai from identity.memberships"))
        assert [tuple(row) for row in found] == [("d086", "0750001D")]
    await engine.dispose()


def _differences(connection: Connection) -> list[object]:
    options = {"include_schemas": True, "include_name": _ours, "version_table_schema": SCHEMA}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def _ours(name: str | None, kind: str, _: object) -> bool:
    return name == SCHEMA if kind == "schema" else name != "alembic_version"
