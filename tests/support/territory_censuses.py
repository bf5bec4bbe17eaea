"""Census folders for the establishments of a written territory: dates, encodings and faults that real exports have."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tests.support.territories import CANARY, Place, TerritoryFolder, uai

if TYPE_CHECKING:
    from datetime import datetime

USUAL = {"eleve": 60, "responsable": 45, "accompagnant": 6, "enseignant": 9, "administratif": 2, "vie_scolaire": 3}


def add_censuses(folder: TerritoryFolder, seed: int, now: datetime) -> None:
    """Give some establishments a census: corrected, of last year, refused, of today overseas, and one without a journal."""
    draw = random.Random(seed)
    for place in folder.places:
        if write := _WRITERS.get(place.uai):
            settings = folder.path / place.uai / "agent.toml"
            settings.write_text(settings.read_text("utf-8") + 'census = "../censuses/' + place.uai + '"\n', "utf-8")
            write(folder, place, draw, now.astimezone(ZoneInfo(place.zone)).date())
    alone = folder.add(Place(uai(750019), "Collège sans journal"), journal=None)
    (folder.path / alone.uai).mkdir()
    (folder.path / alone.uai / "agent.toml").write_text(f'census = "../censuses/{alone.uai}"\n', "utf-8")
    _corrected(folder, alone, draw, now.astimezone(ZoneInfo(alone.zone)).date())


def _corrected(folder: TerritoryFolder, place: Place, draw: random.Random, today: date) -> None:
    """Last year's, a first one of this year, and a later one; few teachers, many who accompany."""
    year = _year(today)
    _write(folder, place, year.replace(year=year.year - 1, month=10), _rows(draw, USUAL))
    _write(folder, place, year, _rows(draw, USUAL | {"enseignant": 12}))
    later = _rows(draw, USUAL | {"enseignant": 3, "mairie": 1})
    _write(folder, place, today - timedelta(days=2), [*later, later[0].replace(";", ";autre", 1)], encoding="cp1252")


def _of_last_year(folder: TerritoryFolder, place: Place, draw: random.Random, today: date) -> None:
    """And one dated tomorrow, which is refused."""
    year = _year(today)
    few = {"eleve": 50, "responsable": 4, "enseignant": 9, "autre": 4}
    _write(folder, place, year - timedelta(days=90), _rows(draw, few))
    _write(folder, place, today + timedelta(days=1), _rows(draw, USUAL))


def _of_today(folder: TerritoryFolder, place: Place, draw: random.Random, today: date) -> None:
    """Whose date the territory may not have reached yet."""
    _write(folder, place, today, _rows(draw, USUAL | {"accompagnant": 4}), encoding="utf-8-sig")


def _spoilt(folder: TerritoryFolder, place: Place, draw: random.Random, today: date) -> None:
    """The newest lacks a column: the older one stays."""
    _write(folder, place, _year(today), _rows(draw, USUAL | {"responsable": 0}))
    _write(folder, place, today - timedelta(days=1), _rows(draw, USUAL), header="id;fonction;nom")


_WRITERS = {uai(750001): _corrected, uai(750002): _of_last_year, uai(750003): _of_today}
_WRITERS |= {uai(9740004): _of_today, uai(750007): _spoilt, uai(750010): _of_last_year}


def _year(today: date) -> date:
    return date(today.year - (today.month < 9), 9, 1)


def _rows(draw: random.Random, held: dict[str, int]) -> list[str]:
    """One row an account, in no order; profiles now and then in capitals."""
    rows = [
        f"{CANARY}-{profile}-{n};{draw.choice([profile, profile.upper()])};{CANARY} Zoé Nom-{n}"
        for profile, count in held.items()
        for n in range(count)
    ]
    draw.shuffle(rows)
    return rows


def _write(
    folder: TerritoryFolder, place: Place, day: date, rows: list[str], *, encoding: str = "utf-8", header: str = ""
) -> None:
    path = folder.path / "censuses" / place.uai / day.isoformat() / "comptes.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes("\r\n".join([header or "id;profil;nom", *rows, ""]).encode(encoding))
