"""Settings of the query API."""

from __future__ import annotations

from pydantic import Field, SecretStr

from chassis.settings import ServiceSettings


class QuerySettings(ServiceSettings):
    """Settings of the process `python -m services.aggregator.query`."""

    usage_database: SecretStr = Field(
        description="Change where PostgreSQL is elsewhere: postgresql+asyncpg://usage:…@host:port/database."
    )
    pool_size: int = Field(default=5, ge=1, description="Raise when questions wait for a connection to PostgreSQL.")
