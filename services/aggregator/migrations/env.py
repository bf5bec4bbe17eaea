"""Alembic's entry: runs on the connection that `chassis.database.migrate` gives."""

from __future__ import annotations

from alembic import context

from chassis.database import run_migrations
from services.aggregator.tables import metadata

run_migrations(context.config, metadata)
