"""`python -m deploy.local.simulation prepare|live`: the simulated territory as an ordinary process of the local stack."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click

from chassis.clock import Clock, parse_instant
from deploy.local.simulation.live import Simulation
from deploy.local.simulation.preparation import (
    DEFAULT_SEED,
    FolderInUseError,
    NotPreparedError,
    prepare,
    prepare_past,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

FOLDER = click.option(
    "--folder", required=True, type=click.Path(path_type=Path, file_okay=False), help="The territory."
)
NOW = click.option(
    "--now",
    envvar="TERRITORIALE_NOW",
    callback=lambda _context, _option, text: _instant(text),
    help="Hold the clock at this ISO instant with its offset.",
)

say = partial(print, flush=True)
"""Progress goes to standard output, in French, line by line: it is part of what the demonstration shows."""


@click.group(help="A fictitious territory that writes journals.")
def main() -> None:
    """Group of the two commands."""


@main.command("prepare", help="Write the territory and its last eight weeks, or what is missing up to now.")
@FOLDER
@NOW
@click.option("--seed", default=DEFAULT_SEED, show_default=True, help="Of a new folder; one that exists keeps its own.")
def prepare_command(folder: Path, now: datetime | None, seed: int) -> None:
    """First screen."""
    with_sentences(
        lambda: prepare(
            folder, Clock(now).now(), seed=seed, progress=lambda done, total: say(f"Établissements {done}/{total}")
        )
    )


@main.command("past", help="Write what is imported of the school years before the agents.")
@FOLDER
def past_command(folder: Path) -> None:
    """Three school years, of every establishment."""
    with_sentences(lambda: prepare_past(folder, progress=lambda year: say(f"Année {year} : totaux et recensement")))


@main.command(
    "live", help="Stream the rest of the history in, newest month first, then write what happens as it happens."
)
@FOLDER
@NOW
@click.option("--until-caught-up", is_flag=True, help="Stop when the history is complete.")
def live_command(folder: Path, now: datetime | None, until_caught_up: bool) -> None:
    """History, then life, until SIGTERM or SIGINT."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    with_sentences(
        lambda: Simulation(folder, clock=Clock(now).now, say=say, stop=stop).run(until_caught_up=until_caught_up)
    )


def with_sentences(action: Callable[[], object]) -> None:
    """Run, and tell an expected failure in one sentence. A full disk heals by itself: the next run repairs and goes on."""
    try:
        action()
    except (FolderInUseError, NotPreparedError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"the journals cannot be written ({error}): make room, then start again") from error


def _instant(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return parse_instant(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


if __name__ == "__main__":
    main(prog_name="python -m deploy.local.simulation")
