"""`python -m services.gateway`: the public API, on 127.0.0.1 until accounts exist."""

from __future__ import annotations

from chassis.http import serve
from chassis.logs import setup_logs
from chassis.telemetry import setup_telemetry
from services.gateway.app import create_app
from services.gateway.config import GatewaySettings


def main() -> None:
    settings = GatewaySettings()
    setup_logs("gateway", level=settings.log_level, fmt=settings.log_format)
    setup_telemetry("gateway")
    serve(create_app(settings), host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
