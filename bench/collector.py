"""How fast an agent reads a journal, and in how much memory: `python -m bench.collector [--lines N] [--json]`.

The journal is that of a large cité scolaire: people with settled habits (one or two ways to connect each), about 9,000 connections on
a school day between 7 and 22 h. Counting includes SQLite with its commits, people's sets and observation; Kafka is not part of it.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from bench.memory import at_1gb, peak_mb
from bench.progress import say
from bench.results import Result, figure, show
from services.collector.config import EstablishmentSettings, SourcesSettings
from services.collector.service import EstablishmentService
from services.collector.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

TURN_BYTES = 32 * 1024 * 1024
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
START = datetime(2025, 9, 1, 5, tzinfo=UTC)
PER_DAY = 9_000
DAY_SECONDS = 15 * 3600
MEMBERS = (("eleve", 1400), ("responsable", 1800), ("enseignant", 130), ("personnel", 40), ("accompagnant", 20))


def people(rng: random.Random) -> list[str]:
    """The end of the lines that someone writes, after the instant: who, and a usual way to connect; some have two."""
    found = []
    for profile, number in MEMBERS:
        for place in range(number):
            for _ in range(rng.choice((1, 1, 2))):
                channel = rng.choice(
                    ("software", "web") if profile in ("enseignant", "personnel") else ("web", "mobile")
                )
                access = "direct" if channel == "software" else rng.choice(("ent", "ent", "direct"))
                found.append(
                    f'", "kind": "connection", "who": "{profile}-{place:05}", "profile": "{profile}", '
                    f'"channel": "{channel}", "access": "{access}"}}\n'
                )
    return found


def journal(lines: int, seed: int = 7) -> Iterator[str]:
    """Lines in order of time, school days only."""
    rng = random.Random(seed)  # noqa: S311 - invented traffic
    tails, day, written = people(rng), START, 0
    while written < lines:
        if day.weekday() < 5:  # noqa: PLR2004 - Saturday
            offsets = sorted(rng.random() * DAY_SECONDS for _ in range(min(PER_DAY, lines - written)))
            written += len(offsets)
            for offset in offsets:
                instant = day + timedelta(seconds=int(offset))
                yield f'{{"at": "{instant.isoformat()}{rng.choice(tails)}'
        day += timedelta(days=1)


def measure(lines: int) -> list[Result]:
    """Count a generated journal; results as `bench/results.json` lists them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say(f"writing a journal of {lines:,} lines")
        _write_elsewhere(folder / "journal.ndjson", lines)
        megabytes = (folder / "journal.ndjson").stat().st_size / 1e6
        say(f"counting {megabytes:.0f} MB")
        seconds, peaks = _count(folder)
    return [
        figure("collector.lines", round(lines / seconds), "lines/s"),
        figure("collector.bytes", round(megabytes / seconds, 1), "MB/s"),
        figure("collector.memory", peaks[-1], "MB"),
        figure("collector.memory_at_1gb", at_1gb(peaks, megabytes), "MB"),
    ]


def _write_elsewhere(path: Path, lines: int) -> None:
    """By another process, whose memory is its own."""
    command = [sys.executable, "-m", "bench.collector", "--write", str(path), "--lines", str(lines)]
    subprocess.run(command, check=True)  # noqa: S603 - this very module


def _count(folder: Path) -> tuple[float, list[float]]:
    """CPU seconds of this process, so that neighbours on the machine do not count, and its peak memory after each turn."""
    sources = SourcesSettings(journal="journal.ndjson")
    establishment = EstablishmentSettings("0750654D", ZoneInfo("Europe/Paris"), "college", folder, sources)
    store = Store(folder / "agent.sqlite")
    service = EstablishmentService(establishment, store)
    peaks: list[float] = []
    started = time.process_time()
    while service.turn(NOW, budget=TURN_BYTES, to_the_end=True):
        peaks.append(peak_mb())
    store.close()
    return time.process_time() - started, [*peaks, peak_mb()]


@click.command()
@click.option("--lines", default=1_000_000, show_default=True, help="Length of the journal; about 7,000,000 make 1 GB.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--write", type=click.Path(path_type=Path), hidden=True)
def main(lines: int, as_json: bool, write: Path | None) -> None:
    """Lines a second on one core, and peak memory, on a generated journal."""
    if write:
        with write.open("w") as file:
            file.writelines(journal(lines))
        return
    show(measure(lines), as_json=as_json)


if __name__ == "__main__":
    main()
