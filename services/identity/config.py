"""Settings of the identity service and of its commands."""

from __future__ import annotations

from pydantic import AwareDatetime, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.clock import Clock
from chassis.settings import PREFIX, ServiceSettings


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

    @property
    def clock(self) -> Clock:
        return Clock(self.now)


class IdentitySettings(ServiceSettings):
    """Settings of the process `python -m services.identity`."""

    identity_database: SecretStr = Field(
        description="Change where PostgreSQL is elsewhere: postgresql+asyncpg://identity:…@host:port/database."
    )
    redis: SecretStr = Field(description="Change where Redis is elsewhere: redis://host:port/0.")
    kafka: str = Field(description="Change where Kafka is elsewhere: host:port, several separated by commas.")
