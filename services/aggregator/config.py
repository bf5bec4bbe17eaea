"""Settings of the aggregator and of its operators' commands."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.settings import PREFIX, ServiceSettings


class AggregatorSettings(ServiceSettings):
    """Settings of the process `python -m services.aggregator`."""

    usage_database: SecretStr = Field(
        description="Change where PostgreSQL is elsewhere: postgresql+asyncpg://usage:…@host:port/database."
    )
    kafka: str = Field(description="Change where Kafka is elsewhere: host:port, several separated by commas.")
    identity_url: str = Field(description="Change where identity listens elsewhere: http://host:port.")
    topic_prefix: str = Field(default="", description="Set to let several installations share one Kafka.")
    flush_messages: int = Field(default=4000, ge=1, description="Lower where memory is short: messages merged at once.")


class OperatorSettings(BaseSettings):
    """What `territoriale dlq` and `territoriale admin rebuild` need, of the service's own settings."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    usage_database: SecretStr = Field(
        default=SecretStr(""), description="The aggregator's database; needed by `admin rebuild`."
    )
    kafka: str = Field(default="", description="Kafka, host:port; needed by `dlq`.")
    topic_prefix: str = Field(default="", description="As the service has it.")
