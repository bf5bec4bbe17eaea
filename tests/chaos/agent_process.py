"""`python -m tests.chaos.agent_process POINT N DEED OPTION…`: `territoriale agent run`, which does DEED the Nth time it reaches POINT.

The points are set here, by wrapping, so that the product has none. `die` is kill -9; `tell` says so and goes on, more slowly:
whoever waits for it may then do something to a process that is certainly at work.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.collector import publisher
from services.collector.https_outlet import HttpsOutlet
from services.collector.publisher import Publisher
from services.collector.service import EstablishmentService
from services.collector.store import Store
from territoriale.cli import main

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.support.agents import Agent

POINTS = ("before-state-commit", "after-state-commit", "before-publishing", "after-publishing", "after-marking")
REACHED = "reached"
"""What `tell` says."""
HASTY_S = 5.0
"""A message's time to be taken, a sixth of the product's: a test that waits for a refusal waits as long."""
SLOWLY_S = 0.2
"""Added to each later passage of a point that was told: an agent on a small school is through in a tenth of a second."""


@dataclass
class Point:
    """Counts its passages and acts at one of them."""

    at: int
    deed: str
    passages: int = 0

    def __call__(self) -> None:
        self.passages += 1
        if self.passages < self.at:
            return
        if self.deed == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.passages == self.at:
            sys.stdout.write(REACHED + "\n")
            sys.stdout.flush()
        time.sleep(SLOWLY_S)


def set_point(name: str, reached: Point) -> None:
    match name:
        case "before-state-commit" | "after-state-commit":
            _wrap_transaction(reached, before=name.startswith("before"))
        case "before-publishing" | "after-publishing":
            _wrap_publish(reached, before=name.startswith("before"))
        case "after-marking":
            EstablishmentService.mark_published = _then(EstablishmentService.mark_published, reached)  # type: ignore[method-assign]
        case _:
            raise SystemExit(f"no such point: {name}")


def _wrap_transaction(reached: Point, *, before: bool) -> None:
    plain = Store.transaction

    @contextmanager
    def transaction(self: Store) -> Iterator[None]:
        with plain(self):
            yield
            if before:
                reached()
        if not before:
            reached()

    Store.transaction = transaction  # type: ignore[method-assign]


def _wrap_publish(reached: Point, *, before: bool) -> None:
    """To Kafka or to the gateway."""
    for outlet in (Publisher, HttpsOutlet):
        outlet.publish = _around(outlet.publish, reached, before=before)  # type: ignore[method-assign]


def _around(plain: Callable[..., Awaitable[None]], reached: Point, *, before: bool) -> Any:
    async def publish(self: Any, message: Any) -> None:
        if before:
            reached()
        await plain(self, message)
        if not before:
            reached()

    return publish


def _then(function: Callable[..., Any], reached: Point) -> Any:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        found = function(*arguments, **named)
        reached()
        return found

    return wrapped


def start(agent: Agent, point: str, at: int, deed: str) -> subprocess.Popen[str]:
    """One agent that reads to the end of its sources, unless the deed ends it before."""
    return agent.start(module=("tests.chaos.agent_process", point, str(at), deed))


async def heard(process: subprocess.Popen[str], words: str) -> str:
    """What it said up to a line that holds these words."""
    assert process.stdout
    said = ""
    while words not in said:
        line = await asyncio.to_thread(process.stdout.readline)
        assert line, f"it ended before it said {words!r}: {said[-4000:]}"
        said += line
    return said


if __name__ == "__main__":
    point, at, deed, *rest = sys.argv[1:]
    publisher.DELIVERY_SECONDS = HASTY_S
    set_point(point, Point(int(at), deed))
    sys.argv = ["territoriale", *rest]
    main()
