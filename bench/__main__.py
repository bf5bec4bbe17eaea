"""`make bench`: every bench in a process of its own, a table, and bench/results.json. Goals are aims; a missed one fails nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click

from bench.results import Result, show

BENCHES = ("collector", "access_log", "aggregator", "query")
RESULTS = Path(__file__).with_name("results.json")


def run(name: str) -> list[Result]:
    """One bench, alone, so that its memory and its garbage are its own."""
    command = [sys.executable, "-m", f"bench.{name}", "--json"]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 - our own modules
    found: list[Result] = json.loads(printed)
    return found


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(BENCHES))
def main(names: tuple[str, ...]) -> None:
    """Run NAMES, all by default, one after the other on a machine that does nothing else."""
    results: list[Result] = []
    for name in names or BENCHES:
        click.echo(f"— {name}")
        found = run(name)
        show(found, as_json=False)
        results += found
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    click.echo(f"written: {RESULTS.name}")


if __name__ == "__main__":
    main()
