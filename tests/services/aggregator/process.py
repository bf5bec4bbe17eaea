"""`python -m tests.services.aggregator.process [POINT]`: the aggregator as a process of its own, killed hard when it reaches POINT.

The points are set here, by wrapping, so that the product has none.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from deploy.local.ports import free_port
from services.aggregator import __main__ as program
from services.aggregator import handlers, service, store
from services.aggregator.outgoing import Outgoing
from tests.services.aggregator.stage import Stage

ROOT = Path(__file__).parents[3]


def _die(*_: object, **__: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_after(function: Callable[..., Awaitable[Any]]) -> Any:
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        await function(*arguments, **named)
        _die()

    return wrapped


def _set(point: str) -> None:
    match point:
        case "before-merge":
            store.lock = _die
        case "before-database-commit":
            store.write_sheets = _die_after(store.write_sheets)
        case "after-database-commit":
            service.Reports._merge = _die_after(service.Reports._merge)  # type: ignore[method-assign]
        case "after-dead-letters":
            Outgoing.bury = _die_after(Outgoing.bury)  # type: ignore[method-assign]
        case "before-offset-commit":
            handlers._acknowledge = _die
        case "without-patience":
            service.RETRY_DELAYS_S = (0.1, 0.2)
        case "after-offset-commit":
            handlers._acknowledge = _die_after(handlers._acknowledge)
        case _:
            raise SystemExit(f"no such point: {point}")


POINTS = ("before-merge", "before-database-commit", "after-database-commit", "after-dead-letters",
          "before-offset-commit", "after-offset-commit")  # fmt: skip


async def start(stage: Stage, *point: str, **environment: str) -> tuple[asyncio.subprocess.Process, int]:
    """Start a process; with its port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.services.aggregator.process", *point,
        cwd=ROOT, env={**os.environ, **stage.environment(), "TERRITORIALE_PORT": str(port), **environment},
    )  # fmt: skip
    return process, port


@asynccontextmanager
async def started(stage: Stage, *point: str, **environment: str):
    """The same, killed when the test is over."""
    process, port = await start(stage, *point, **environment)
    try:
        yield process, port
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    handlers.SESSION_MS = 6000  # the least a broker accepts, so that a dead replica's partitions are taken over sooner
    if len(sys.argv) > 1:
        _set(sys.argv[1])
    sys.exit(program.main())
