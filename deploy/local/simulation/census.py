"""The censuses of an establishment: dated folders of the five files that an export of PRONOTE would leave. All shares are guesses.

Accounts are those of `population`, so that rates of people mean something. A folder is written beside and renamed: agents only ever
see it whole. Numbers since the rentrée (absences, sanctions …) grow, on the whole, from one census of a school year to the next.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from contracts.periods import school_year_start
from deploy.local.simulation.habits import PROFILES
from deploy.local.simulation.population import ELEVE, population

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from deploy.local.simulation.population import Population
    from deploy.local.simulation.territory import Establishment

FOLDER = "census"
DAYS = ((9, 15), (1, 15), (5, 15))
"""Month and day of the censuses of a school year, in the order of the year."""

PUPILS_PER_CLASS = 25.3
ROOMS_PER_CLASS = 1.35
OPEN_SLOTS = 45
"""Hours of a week in which a room may hold a lesson."""
OCCUPANCY = (0.28, 0.57)
SEGPA_SHARE = 0.08
STAFF = {"administratif": 0.25, "vie_scolaire": 0.55, "autre": 0.20}

_YES_NO = np.array(["N", "O"])
_PER_YEAR = {"absences": 9.0, "retards": 4.5, "sanctions": 0.25, "punitions": 1.4, "incidents": 0.4}
"""Mean of each count over a school year of about 300 days."""
_YES = {"hors_secteur": 0.09, "transport": 0.45, "accompagne": 0.03, "decrochage": 0.02}
_PLANS = {"plans": 0.12, "plans_medicaux": 0.05}

Rows = list[Sequence[str]]


def due(establishment: Establishment, today: date) -> list[date]:
    """Dates up to `today`, since the previous rentrée, of which this establishment has left a census; oldest first."""
    current = school_year_start(today).year
    dates = [_dated(year, *day) for year in (current - 1, current) for day in DAYS]
    return [day for day in dates if day <= today and establishment.exists_on(day)]


def _dated(year: int, month: int, day: int) -> date:
    return date(year if month >= DAYS[0][0] else year + 1, month, day)


def write_census(folder: Path, establishment: Establishment, day: date, seed: int) -> bool:
    """Write the census of one date unless it is there; returns whether it was missing. `folder`: the establishment's own."""
    path = folder / FOLDER / day.isoformat()
    if path.exists():
        return False
    draft = folder / f".{FOLDER}-{day}"
    shutil.rmtree(draft, ignore_errors=True)
    write_files(draft, establishment, day, seed)
    path.parent.mkdir(exist_ok=True)
    draft.rename(path)
    return True


def write_files(folder: Path, establishment: Establishment, day: date, seed: int) -> None:
    """The five files of a census, in a folder that is made for them."""
    folder.mkdir(parents=True)
    for name, rows in _files(establishment, day, seed):
        text = "".join(";".join(row) + "\r\n" for row in rows)
        (folder / f"{name}.csv").write_text(text, encoding="utf-8", newline="")


def _files(establishment: Establishment, day: date, seed: int) -> Iterator[tuple[str, Rows]]:
    crowd = population(establishment, school_year_start(day).year, seed)
    rng = np.random.default_rng([seed, establishment.number, day.toordinal(), 1])
    who = _by_profile(crowd)
    places = _placed(establishment, crowd)
    sexes = _sexes(who["eleve"])
    staff = _staff(who["personnel"])
    yield "comptes", _accounts(who, sexes, staff)
    yield "eleves", _pupils(rng, establishment, who["eleve"], sexes, places, day)
    others = [(name, category) for category in ("accompagnant", "enseignant") for name in who[category]]
    yield "personnels", [("id", "categorie"), *staff, *others]
    yield "classes", [("nom", "niveau"), *dict.fromkeys((name, level) for level, name in places)]
    yield "salles", _rooms(rng, len(set(places)))


def _by_profile(crowd: Population) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {profile: [] for profile in PROFILES}
    for who, profile in zip(crowd.people.who, crowd.people.profile.tolist(), strict=True):
        found[PROFILES[profile]].append(who)
    assert len(found[PROFILES[ELEVE]]) == sum(crowd.pupils)
    return found


def _placed(establishment: Establishment, crowd: Population) -> list[tuple[str, str]]:
    """Level and class of each pupil, in the order of the people."""
    found: list[tuple[str, str]] = []
    for level, count in zip(establishment.levels, crowd.pupils, strict=True):
        apart = round(count * SEGPA_SHARE) if establishment.segpa else 0
        classes = max(1, round((count - apart) / PUPILS_PER_CLASS))
        found += [(level, f"{level} {chr(ord('A') + place % classes)}") for place in range(count - apart)]
        found += [(f"{level}-SEGPA", f"{level} SEGPA")] * apart
    return found


def _sexes(who: Iterable[str]) -> list[str]:
    """By the id, so that a pupil keeps theirs from one census to the next."""
    return ["FM"[int(name, 16) % 2] for name in who]


def _staff(who: Sequence[str]) -> list[tuple[str, str]]:
    """Each member of the staff with a category, the first of each while there are few."""
    ends = np.ceil(np.cumsum(list(STAFF.values())) * len(who))
    return [(name, list(STAFF)[int(np.searchsorted(ends, place, side="right"))]) for place, name in enumerate(who)]


def _accounts(who: dict[str, list[str]], sexes: list[str], staff: list[tuple[str, str]]) -> Rows:
    pupils = zip(who["eleve"], ["eleve"] * len(sexes), sexes, strict=True)
    others = [(name, profile, "") for profile in ("responsable", "accompagnant", "enseignant") for name in who[profile]]
    return [("id", "profil", "sexe"), *pupils, *others, *((name, category, "") for name, category in staff)]


def _pupils(
    rng: np.random.Generator,
    establishment: Establishment,
    who: list[str],
    sexes: list[str],
    places: list[tuple[str, str]],
    day: date,
) -> Rows:
    count = len(who)
    boarding = 0.12 if establishment.kind == "lycee" else 0.0
    columns: dict[str, Sequence[str]] = {
        "id": who,
        "niveau": [level for level, _ in places],
        "classe": [name for _, name in places],
        "sexe": sexes,
        "regime": rng.choice(["DP", "INT", "EXT"], count, p=[0.72 - boarding, boarding, 0.28]).tolist(),
        **{name: _YES_NO[(rng.random(count) < share).astype(int)].tolist() for name, share in _YES.items()},
        **{name: _texts(rng.binomial(2, share / 2, count)) for name, share in _PLANS.items()},
        **{name: _texts(_since_rentree(rng, mean, day, count)) for name, mean in _PER_YEAR.items()},
    }
    return [tuple(columns), *zip(*columns.values(), strict=True)]


def _since_rentree(rng: np.random.Generator, mean: float, day: date, count: int) -> NDArray[np.int64]:
    """Counts since 1 September: few have many."""
    share = (day - school_year_start(day)).days / 300
    return rng.poisson(mean * share * rng.gamma(0.6, 1 / 0.6, count))


def _texts(numbers: NDArray[np.int64]) -> list[str]:
    return [str(number) for number in numbers.tolist()]


def _rooms(rng: np.random.Generator, classes: int) -> Rows:
    rooms = max(1, round(classes * ROOMS_PER_CLASS))
    occupied = np.round(OPEN_SLOTS * rng.uniform(*OCCUPANCY, rooms)).astype(int).tolist()
    rows = [(f"Salle {place:02d}", str(slots), str(OPEN_SLOTS)) for place, slots in enumerate(occupied, start=1)]
    return [("nom", "creneaux_occupes", "creneaux_ouverts"), *rows]
