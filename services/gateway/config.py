"""Settings of the gateway."""

from __future__ import annotations

from pydantic import Field, SecretStr

from chassis.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """Settings of the process `python -m services.gateway`."""

    identity_url: str = Field(description="Change where the identity service is elsewhere: http://host:port.")
    query_url: str = Field(description="Change where the query API is elsewhere: http://host:port.")
    redis: SecretStr = Field(description="Change where Redis is elsewhere: redis://host:port/0.")
    kafka: str = Field(description="Change where Kafka is elsewhere: host:port, several separated by commas.")
    requests_per_minute: int = Field(
        default=6_000, ge=1, description="Lower where one token's reader asks so much that others wait."
    )
    agent_requests_per_minute: int = Field(
        default=3_000, ge=1, description="Raise for an agent of thousands of establishments; lower where one floods."
    )
    live_tick_seconds: float = Field(
        default=30.0, gt=0, description="Lower on a demonstration, so that pages follow faster."
    )
