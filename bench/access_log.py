"""How fast an access log is understood, and in how much memory: `python -m bench.access_log [--lines N] [--json]`.

The log is drawn from a seed: three establishments behind one proxy, a quarter of the lines PRONOTE's calls, the others static
files and pages of other sites. It is written and read by processes of their own, so that the figures are the reader's alone;
every 4 MB the state is taken, as if it were stored.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from bench.memory import at_1gb, peak_mb
from bench.progress import say
from bench.results import Result, figure, show
from services.collector.access_log import AccessLog, Connection, Establishment
from tests.support.access_logs import Site, host_first, traffic

BLOCK = 256 * 1024
COMMIT_BYTES = 4 * 1024 * 1024
UAIS = ("0750001U", "0750002V", "0750003W")
START = datetime(2026, 11, 2, 6, tzinfo=UTC)
SECRET = bytes(range(32))


def write_log(path: Path, wanted: int) -> None:
    """Days of school, until there are enough lines."""
    sites = [Site(uai, f"{uai.lower()}.index-education.net") for uai in UAIS]
    written = day = 0
    with path.open("wb") as log:
        while written < wanted:
            start = START + timedelta(days=day)
            hits, _ = traffic(day, sites, start, start + timedelta(hours=12), visits=1500, noise=60)
            log.writelines(host_first(hit) + b"\n" for hit in hits)
            written, day = written + len(hits), day + 1


def read_log(path: Path) -> dict[str, Any]:
    """Read a log in blocks, as the agent does; seconds of processor time, peak memory in MB after each taking of the state."""
    log = AccessLog([Establishment(uai) for uai in UAIS], SECRET)
    now = (START + timedelta(days=3650)).timestamp()
    lines = calls = connections = state = since = 0
    rest, peaks, start = b"", list[float](), time.process_time()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            *whole, rest = (rest + block).split(b"\n")
            facts = log.read(whole, file="log", now=now)
            lines, calls, since = lines + len(whole), calls + block.count(b"POST /pronote/"), since + len(block)
            connections += sum(isinstance(fact, Connection) for fact in facts)
            if since >= COMMIT_BYTES:
                state, since = max(state, len(log.state())), 0
                peaks.append(peak_mb())
    seconds = time.process_time() - start
    return {
        "lines": lines,
        "calls": calls,
        "seconds": seconds,
        "peaks": [*peaks, peak_mb()],
        "connections": connections,
        "state": state,
    }


def measure(lines: int) -> list[Result]:
    """Figures as `bench/results.json` lists them."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "access.log")
        say(f"writing a log of {lines:,} lines")
        _by_itself("--write", path, "--lines", str(lines))
        megabytes = Path(path).stat().st_size / 1e6
        say(f"reading {megabytes:.0f} MB")
        found = json.loads(_by_itself("--read", path))
    return [
        figure("access_log.lines", round(found["lines"] / found["seconds"]), "lines/s"),
        figure("access_log.memory", found["peaks"][-1], "MB"),
        figure("access_log.memory_at_1gb", at_1gb(found["peaks"], megabytes), "MB"),
        figure("access_log.state", round(found["state"] / 1000), "kB"),
        figure("access_log.calls", round(100 * found["calls"] / found["lines"]), "% of lines"),
    ]


def _by_itself(*arguments: str) -> str:
    command = [sys.executable, "-m", "bench.access_log", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - this very module


@click.command()
@click.option(
    "--lines", default=1_000_000, show_default=True, help="Lines of the log that is drawn; about 4,000,000 make 1 GB."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@click.option("--write", type=click.Path(path_type=Path), hidden=True)
@click.option("--read", type=click.Path(path_type=Path), hidden=True)
def main(lines: int, *, as_json: bool, write: Path | None, read: Path | None) -> None:
    """Measure how fast an access log is understood."""
    if write:
        write_log(write, lines)
    elif read:
        click.echo(json.dumps(read_log(read)))
    else:
        show(measure(lines), as_json=as_json)


if __name__ == "__main__":
    main()
