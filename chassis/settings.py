"""Settings that every service shares, read from the environment under one prefix."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.clock import Clock

PREFIX = "TERRITORIALE_"


class ServiceSettings(BaseSettings):
    """Base of each service's settings; each field says when to change it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    now: AwareDatetime | None = Field(
        default=None, description="Set on a local stack to hold the business date still (ISO with offset)."
    )
    log_format: Literal["text", "json"] = Field(default="text", description="Change to json where logs are collected.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Lower to DEBUG while looking for a fault."
    )
    internal_token: SecretStr = Field(
        description="Shared secret of the internal APIs; change it on every installation."
    )
    host: str = Field(default="127.0.0.1", description="Change only behind a proxy that authenticates.")
    port: int = Field(default=0, description="Change when the port is taken; 0 picks a free one.")

    @property
    def clock(self) -> Clock:
        return Clock(self.now)
