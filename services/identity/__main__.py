"""`python -m services.identity`: the internal API on 127.0.0.1."""

from __future__ import annotations

from chassis.http import serve
from chassis.logs import setup_logs
from chassis.telemetry import setup_telemetry
from services.identity.app import create_app
from services.identity.config import IdentitySettings


def main() -> None:
    settings = IdentitySettings()
    setup_logs("identity", level=settings.log_level, fmt=settings.log_format)
    setup_telemetry("identity")
    serve(create_app(settings), host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
