"""Settings of the identity service and of its commands."""

from __future__ import annotations

from datetime import timedelta

from pydantic import AwareDatetime, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.clock import Clock
from chassis.settings import PREFIX, ServiceSettings
from services.identity.presence import Expectations


class RegistrarSettings(BaseSettings):
    """What a command needs to change the registry; the service has the same and more."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    identity_database: SecretStr = Field(
        description="Change where PostgreSQL is elsewhere: postgresql+asyncpg://identity:…@host:port/database."
    )
    redis: SecretStr = Field(description="Change where Redis is elsewhere: redis://host:port/0.")
    now: AwareDatetime | None = Field(
        default=None, description="Set on a local stack to hold the business date still (ISO with offset)."
    )
    agent_cadence_seconds: float = Field(
        default=300.0, gt=0, description="Lower on a demonstration: between two hellos and publications of an agent."
    )
    minimum_agent_version: str = Field(
        default="0.1.0", description="Raise when older agents must not go on: they are flagged, and are told."
    )

    @property
    def clock(self) -> Clock:
        return Clock(self.now)

    @property
    def expectations(self) -> Expectations:
        """What agents are told, and judged by."""
        return Expectations(timedelta(seconds=self.agent_cadence_seconds), self.minimum_agent_version)


class LastReportsSettings(BaseSettings):
    """Where `territoriale admin agent list` asks for last reports; without it they are not shown."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    query_url: str = Field(default="", description="Set it so that `agent list` shows last reports: http://host:port.")
    internal_token: SecretStr = Field(
        default=SecretStr(""), description="Set it beside query_url: the internal APIs' shared secret."
    )


class IdentitySettings(RegistrarSettings, ServiceSettings):
    """Settings of the process `python -m services.identity`."""

    kafka: str = Field(description="Change where Kafka is elsewhere: host:port, several separated by commas.")
    agent_kafka: str = Field(
        default="", description="Set it where agents may reach Kafka: host:port; else they report through the gateway."
    )
