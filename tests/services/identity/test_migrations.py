"""Upgrade to head on a real PostgreSQL gives what tables.py declares."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

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


def _differences(connection: Connection) -> list[object]:
    options = {"include_schemas": True, "include_name": _ours, "version_table_schema": SCHEMA}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def _ours(name: str | None, kind: str, _: object) -> bool:
    return name == SCHEMA if kind == "schema" else name != "alembic_version"
