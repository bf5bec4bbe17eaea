"""`python -m services.aggregator`: consumes usage.reported.v1; health, counters and AsyncAPI on 127.0.0.1."""

from __future__ import annotations

import gc
import logging
import signal
import sys

from chassis.http import serve
from chassis.logs import setup_logs
from chassis.telemetry import setup_telemetry
from services.aggregator.app import create_app
from services.aggregator.config import AggregatorSettings

COLLECT_AFTER = 500_000
"""Objects: a flush holds some hundred thousand tuples, all young and none in a cycle; looking through them took a quarter of it."""
SWITCH_INTERVAL_S = 0.00005
"""A thread that verifies signatures needs the interpreter for a tenth of its time: at the default (5 ms) it would wait for it
a hundred times longer than it works, while messages are decoded beside it."""


def main() -> int:
    """0 when told to stop, else the exit code of what stopped it."""
    settings = AggregatorSettings()
    setup_logs("aggregator", level=settings.log_level, fmt=settings.log_format)
    setup_telemetry("aggregator")
    logging.getLogger("aiokafka.consumer.group_coordinator").setLevel(
        logging.CRITICAL
    )  # what it calls errors heals by itself
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    app = create_app(settings, end=lambda: signal.raise_signal(signal.SIGTERM))
    serve(app, host=settings.host, port=settings.port)
    stopped = app.state.aggregator.stopped_by
    return stopped.exit_code if stopped else 0


if __name__ == "__main__":
    sys.exit(main())
