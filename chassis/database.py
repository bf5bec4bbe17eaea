"""One async engine per process, and migrations that one process at a time runs at start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

if TYPE_CHECKING:
    from alembic.config import Config

STATEMENT_TIMEOUT_MS = 30_000
"""Longer than any statement of ours should take; a stuck one gives its connection back."""
_MIGRATION_LOCK = 7_305_118_442
"""Advisory lock that replicas starting together take in turn; any constant no one else uses."""


def create_engine(url: str, *, application: str, pool_size: int = 5) -> AsyncEngine:
    """An asyncpg engine whose connections carry the application's name (shown in pg_stat_activity)."""
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=True,
        connect_args={
            "server_settings": {"application_name": application, "statement_timeout": str(STATEMENT_TIMEOUT_MS)},
            "timeout": 10,
        },
    )


async def migrate(engine: AsyncEngine, migrations: Path, *, schema: str) -> None:
    """Bring `schema` to the newest revision found in `migrations`; replicas wait for each other."""
    async with engine.connect() as connection:
        await connection.run_sync(_upgrade, migrations, schema)


def _upgrade(connection: Connection, migrations: Path, schema: str) -> None:
    from alembic import command  # noqa: PLC0415 - an operator's command should not wait for what it does not run

    connection.execute(text("select pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
    try:
        _ensure_schema(connection, schema)
        connection.commit()
        command.upgrade(alembic_config(migrations, schema, connection), "head")
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
        connection.commit()


def _ensure_schema(connection: Connection, schema: str) -> None:
    """`create schema if not exists` asks for a right on the database even where the schema exists; a service's role has none."""
    known = connection.execute(text("select 1 from pg_namespace where nspname = :schema"), {"schema": schema})
    if known.first() is None:
        connection.execute(text(f'create schema "{schema}"'))


def alembic_config(migrations: Path, schema: str, connection: Connection) -> Config:
    """Alembic settings without an ini file; env.py reads `connection` and `schema` from the attributes."""
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    return config


def run_migrations(config: Config, target_metadata: object) -> None:
    """What each service's migrations/env.py calls: run online on the connection given, version table in the schema."""
    from alembic import context  # noqa: PLC0415 - alembic.context only exists inside a run

    context.configure(
        connection=config.attributes["connection"],
        target_metadata=target_metadata,  # type: ignore[arg-type]
        version_table="alembic_version",
        version_table_schema=config.attributes["schema"],
        include_schemas=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
