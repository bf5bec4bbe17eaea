"""From a line in a journal to the number that the API answers, on a whole stack, with a cadence of one second.

Run: python -m bench.freshness. A line is written every so often; `/series/daily` is asked every 50 ms; a line has arrived when today's
connections have reached its number. Told: from the writing to the answer in hand.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import numpy as np

from bench.progress import say
from bench.results import Result, figure, show
from bench.stacks import Door, Whole, whole_stack
from bench.traffic import uais_of
from deploy.local.places import ROOT

CADENCE_S = 1.0
ASK_EVERY_S = 0.05
LINE_EVERY_S = 0.21
"""Not a divisor of the cadence, so that lines fall anywhere in it; a little more or less each time."""
ARRIVE_WITHIN_S = 30


@click.command()
@click.option("--lines", default=200, show_default=True, help="Lines that are timed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def main(lines: int, as_json: bool) -> None:
    """Milliseconds from a journal's line to the API's answer."""
    say("bringing up a stack")
    uai = uais_of(1)[0]
    with whole_stack([uai], _line(datetime.now(UTC) - timedelta(days=1)), None) as whole:
        show(asyncio.run(measure(whole, whole.territory / uai / "journal.ndjson", lines)), as_json=as_json)


async def measure(whole: Whole, journal: Path, lines: int) -> list[Result]:
    """The agent follows its journal while lines are written and answers are read."""
    say(f"{lines} lines at a cadence of {CADENCE_S:.0f} s")
    async with _agent(whole), Door(whole.stack.url, whole.stack.token) as door:
        await _told(door, journal, 1)  # until the agent has started
        written, seen = await _told(door, journal, lines)
    took = [1000 * (arrived - start) for start, arrived in zip(written, seen, strict=True)]
    p50, p99 = np.percentile(took, (50, 99))
    return [figure("freshness.p50", round(p50), "ms"), figure("freshness.p99", round(p99), "ms")]


async def _told(door: Door, journal: Path, lines: int) -> tuple[list[float], list[float]]:
    """When each line was written, and when it was first answered."""
    before = await _connections(door)
    written: list[float] = []
    writing = asyncio.create_task(_write(journal, lines, written))
    seen = await _seen(door, before, lines)
    await writing
    return written, seen


@asynccontextmanager
async def _agent(whole: Whole) -> AsyncIterator[None]:
    """The stack's own agent, which ended at its journal's end, goes on at a faster cadence."""
    settings = whole.site.folder / "agent" / "agent.toml"
    text = settings.read_text("utf-8")
    settings.write_text(re.sub(r"(?m)^cadence_seconds = .*$", f"cadence_seconds = {CADENCE_S}", text), "utf-8")
    command = (sys.executable, "-m", "territoriale", "agent", "run", "--settings", str(settings))
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _write(journal: Path, lines: int, written: list[float]) -> None:
    """Append lines; when each was in the file."""
    chosen = random.Random(5)  # noqa: S311 - when a line falls within the cadence
    with journal.open("a") as file:
        for _ in range(lines):
            await asyncio.sleep(LINE_EVERY_S * (0.8 + 0.4 * chosen.random()))
            file.write(_line(datetime.now(UTC)))
            file.flush()
            written.append(time.perf_counter())


async def _seen(door: Door, before: int, lines: int) -> list[float]:
    """When the answer first held each line."""
    seen: list[float] = []
    last = time.perf_counter()
    while len(seen) < lines:
        asked = time.perf_counter()
        arrived = await _connections(door) - before
        now = time.perf_counter()
        if arrived > len(seen):
            last = now
            seen += [now] * (arrived - len(seen))
        assert now - last < ARRIVE_WITHIN_S, f"{arrived} of {lines} lines arrived, and no more for {ARRIVE_WITHIN_S} s"
        await asyncio.sleep(asked + ASK_EVERY_S - now)
    return seen


async def _connections(door: Door) -> int:
    """Today's, or those of the last two days while midnight passes."""
    points = json.loads(await door.get("/series/daily"))["points"]
    return sum(point["connections"]["value"] or 0 for point in points[-2:])


def _line(at: datetime) -> str:
    fact = {
        "at": at.isoformat(),
        "kind": "connection",
        "who": "x",
        "profile": "eleve",
        "channel": "web",
        "access": "ent",
    }
    return json.dumps(fact) + "\n"


if __name__ == "__main__":
    main()
