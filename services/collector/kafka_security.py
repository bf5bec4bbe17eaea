"""How a hosting site's agent speaks to brokers beyond its own network: TLS, SASL, and where the password comes from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.collector.errors import SettingsError
from services.collector.gateway import tls_context

if TYPE_CHECKING:
    from services.collector.config import KafkaSettings

PASSWORD_VARIABLE = "TERRITORIALE_KAFKA_PASSWORD"  # noqa: S105 - its name
_PROTOCOLS = {"plain": "PLAINTEXT", "tls": "SSL", "sasl-tls": "SASL_SSL", "sasl": "SASL_PLAINTEXT"}


def kafka_security(settings: KafkaSettings) -> dict[str, Any]:
    """Arguments of aiokafka's producer; `SettingsError` where something is missing. The password is in nothing that is logged."""
    found: dict[str, Any] = {"security_protocol": _PROTOCOLS[settings.security]}
    if settings.security in {"tls", "sasl-tls"}:
        found["ssl_context"] = tls_context(Path(settings.ca) if settings.ca else None)
    if settings.security in {"sasl", "sasl-tls"}:
        if not settings.user:
            raise SettingsError("settings", "kafka.user", "is needed for SASL")
        found |= {
            "sasl_mechanism": settings.mechanism,
            "sasl_plain_username": settings.user,
            "sasl_plain_password": _password(settings),
        }
    return found


def _password(settings: KafkaSettings) -> str:
    if not settings.password_file:
        password = os.environ.get(PASSWORD_VARIABLE, "")
        if not password:
            raise SettingsError(
                "settings", "kafka.password_file", f"is needed for SASL, or {PASSWORD_VARIABLE} in the environment"
            )
        return password
    try:
        return Path(settings.password_file).read_text("utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(settings.password_file, "", f"the password cannot be read ({error})") from error
