"""`python -m services.aggregator.query`: the internal query API, until SIGTERM."""

from __future__ import annotations

import gc

from chassis.http import serve
from chassis.logs import setup_logs
from chassis.telemetry import setup_telemetry
from services.aggregator.query.app import create_app
from services.aggregator.query.config import QuerySettings


def main() -> None:
    settings = QuerySettings()
    setup_logs("query", level=settings.log_level, fmt=settings.log_format)
    setup_telemetry("query")
    app = create_app(settings)
    gc.freeze()  # the catalogue and the code live as long as the process: no use in walking them with every collection
    serve(app, host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
