"""The simulated territory's folder: what it was made from, and its first eight weeks."""

from __future__ import annotations

import fcntl
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from deploy.local.simulation.census import due, write_census
from deploy.local.simulation.journal import Journal
from deploy.local.simulation.past import past_years, write_past
from deploy.local.simulation.territory import ESTABLISHMENTS, ZONE, dated, write_territory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from deploy.local.simulation.territory import Establishment

FIRST_SCREEN = timedelta(weeks=8)
"""What is written at once, so that the first screen has something to show; the rest streams in behind."""

DEFAULT_SEED = 86
_RECIPE = "simulation.json"


class FolderInUseError(RuntimeError):
    """Another process is writing this folder's journals."""


class NotPreparedError(RuntimeError):
    """The folder holds no simulated territory."""


@dataclass(frozen=True)
class Recipe:
    """All that the journals of a folder depend on, besides the calendar: kept, so that a later run goes on with the same."""

    seed: int
    since: str
    establishments: int

    @property
    def first_day(self) -> date:
        return date.fromisoformat(self.since)

    @property
    def places(self) -> tuple[Establishment, ...]:
        return tuple(dated(each, self.first_day) for each in ESTABLISHMENTS[: self.establishments])


def prepare(
    folder: Path,
    now: datetime,
    *,
    seed: int = DEFAULT_SEED,
    establishments: int = len(ESTABLISHMENTS),
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the territory and its last eight weeks up to `now` (aware); returns `folder`, ready for `local up --territory`.

    A folder prepared before keeps its own seed and establishments and is only continued: what happened since is appended.
    `progress(done, total)` is called as each establishment is written. Raises `FolderInUseError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder):
        recipe = _kept(folder, Recipe(seed, (local_date(now) - FIRST_SCREEN).isoformat(), establishments))
        write_territory(folder, recipe.places)
        journals = journals_of(folder, recipe)
        for done, journal in enumerate(journals, start=1):
            journal.open(local_date(now))
            journal.advance(now)
            write_newest_census(journal, now, recipe.seed)
            if progress:
                progress(done, len(journals))
    return folder


def prepare_past(folder: Path, progress: Callable[[str], None]) -> None:
    """Write the school years before the agents; `progress` is told each. Raises `NotPreparedError`, `FolderInUseError`."""
    recipe = recipe_of(folder)
    with held(folder):
        for year in past_years(recipe.first_day):
            for establishment in recipe.places:
                write_past(folder / establishment.uai, establishment, year, recipe.seed)
            progress(year.name)


def local_date(now: datetime) -> date:
    """The territory's date at an instant."""
    return now.astimezone(ZoneInfo(ZONE)).date()


def journals_of(folder: Path, recipe: Recipe) -> list[Journal]:
    return [Journal(folder / each.uai, each, recipe.first_day, recipe.seed) for each in recipe.places]


def write_newest_census(journal: Journal, now: datetime, seed: int) -> bool:
    """The first screen needs one census; returns whether it was missing."""
    dates = due(journal.establishment, local_date(now))
    return bool(dates) and write_census(journal.folder, journal.establishment, dates[-1], seed)


def recipe_of(folder: Path) -> Recipe:
    """What a prepared folder was made from; `NotPreparedError` where it was not."""
    path = folder / _RECIPE
    if not path.exists():
        raise NotPreparedError(f"{folder} holds no simulated territory: prepare it first")
    return Recipe(**json.loads(path.read_text(encoding="utf-8")))


def _kept(folder: Path, wanted: Recipe) -> Recipe:
    path = folder / _RECIPE
    if not path.exists():
        draft = folder / f".{_RECIPE}"
        draft.write_text(json.dumps(asdict(wanted)), encoding="utf-8")
        draft.replace(path)
    return recipe_of(folder)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the only writer of the folder; the lock goes with the process, however it ends."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUseError(f"another simulation is writing in {folder}: stop it first") from None
        yield
