"""Settings of the aggregator and of its operators' commands."""

from __future__ import annotations

from pydantic import Field, SecretStr

from chassis.settings import ServiceSettings


class AggregatorSettings(ServiceSettings):
    """Settings of the process `python -m services.aggregator`."""

    usage_database: SecretStr = Field(
        description="Change where PostgreSQL is elsewhere: postgresql+asyncpg://usage:…@host:port/database."
    )
    kafka: str = Field(description="Change where Kafka is elsewhere: host:port, several separated by commas.")
    identity_url: str = Field(description="Change where identity listens elsewhere: http://host:port.")
    topic_prefix: str = Field(default="", description="Set to let several installations share one Kafka.")
    flush_messages: int = Field(default=4000, ge=1, description="Lower where memory is short: messages merged at once.")
