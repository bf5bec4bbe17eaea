"""The rest of the history behind the first eight weeks, then life: each line appears at the second it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.local.simulation.census import due, write_census
from deploy.local.simulation.history import spans, write_span
from deploy.local.simulation.preparation import held, journals_of, local_date, recipe_of, write_newest_census

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path
    from threading import Event


TICK = 1.0
"""Seconds between two looks at the clock: `at` has whole seconds, finer would show nothing more."""


class Simulation:
    """One run over a prepared folder. `clock` tells the present, `say` shows a line to whoever watches, `stop` ends the run."""

    def __init__(self, folder: Path, *, clock: Callable[[], datetime], say: Callable[[str], None], stop: Event) -> None:
        self._folder = folder
        self._recipe = recipe_of(folder)
        self._journals = journals_of(folder, self._recipe)
        self._clock = clock
        self._say = say
        self._stop = stop

    def run(self, *, until_caught_up: bool) -> None:
        """Write what is missing; then, unless `until_caught_up`, follow the clock until `stop` is set."""
        with held(self._folder):
            self._follow()
            self._write_history()
            if not until_caught_up and not self._stop.is_set():
                self._say("Trafic en direct : les connexions fictives s'écrivent à leur seconde")
                self._live()

    def _live(self) -> None:
        while not self._stop.wait(TICK):
            self._follow()

    def _follow(self) -> None:
        now = self._clock()
        for journal in self._journals:
            journal.advance(now)
            write_newest_census(journal, now, self._recipe.seed)

    def _write_history(self) -> None:
        """The present goes on being written between two files: history never makes it late."""
        self._write_censuses()
        for span in spans(self._recipe.first_day, local_date(self._clock())):
            for place, journal in enumerate(self._journals, start=1):
                if self._stop.is_set():
                    return
                if write_span(journal.folder, journal.establishment, span, self._recipe.seed):
                    self._say(f"Historique {span.school_year} : établissement {place}/{len(self._journals)}")
                self._follow()
        self._say("Historique complet")

    def _write_censuses(self) -> None:
        """Newest first, as the history."""
        for journal in self._journals:
            for day in reversed(due(journal.establishment, local_date(self._clock()))):
                if self._stop.is_set():
                    return
                write_census(journal.folder, journal.establishment, day, self._recipe.seed)
            self._follow()
