"""`make bench`: every bench in a process of its own, a table, and bench/results.json. Goals are aims; a missed one fails nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from bench.results import Result, absent, goals, show

BENCHES = ("collector", "access_log", "aggregator", "latency", "growth", "history", "query", "gateway", "freshness")
WITHIN_S = 600
"""Most take a minute; what takes ten has got stuck."""
RESULTS = Path(__file__).with_name("results.json")


def run(name: str) -> list[Result]:
    """One bench, alone, so that its memory and its garbage are its own; one that cannot run says why where its aims stand."""
    command = [sys.executable, "-m", f"bench.{name}", "--json"]
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=WITHIN_S)  # noqa: S603 - our own modules
    except subprocess.CalledProcessError as error:
        return [absent(aim, f"bench.{name} ended with {error.returncode}") for aim in _aims(name)]
    except subprocess.TimeoutExpired:
        return [absent(aim, f"bench.{name} was not done after {WITHIN_S} s") for aim in _aims(name)]
    found: list[Result] = json.loads(done.stdout)
    measured = {each["name"] for each in found}
    return found + [absent(aim, f"bench.{name} gave no such figure") for aim in _aims(name) if aim not in measured]


def _aims(name: str) -> list[str]:
    return [aim for aim in goals() if aim.startswith(f"{name}.")]


def _chosen(only: Sequence[str]) -> Iterator[str]:
    """Benches, or figures of one: the bench that gives them runs whole."""
    return (name for name in BENCHES if not only or name in {each.split(".")[0] for each in only})


@click.command()
@click.option("--only", multiple=True, metavar="NAME", help=f"Only this one, repeatable: {', '.join(BENCHES)}.")
def main(only: tuple[str, ...]) -> None:
    """Run all benches one after the other, on a machine that does nothing else."""
    for unknown in (each for each in only if each.split(".")[0] not in BENCHES):
        raise click.BadParameter(f"no bench {unknown}", param_hint="--only")
    results: list[Result] = []
    for name in _chosen(only):
        begun = time.monotonic()
        click.echo(f"— {name}", err=True)
        found = run(name)
        show(found, as_json=False)
        click.echo(f"  {name}: {time.monotonic() - begun:.0f} s", err=True)
        results += found
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    click.echo(f"written: {RESULTS.name}; missed or not run: {sum(not each['ok'] for each in results)}", err=True)


if __name__ == "__main__":
    main()
