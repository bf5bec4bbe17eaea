"""Census folders for the establishments of a written territory: dates, encodings and faults that real exports have."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tests.support.census_exports import Exports
from tests.support.territories import CANARY, Place, TerritoryFolder, uai

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

USUAL = {"eleve": 60, "responsable": 45, "accompagnant": 6, "enseignant": 9, "administratif": 2, "vie_scolaire": 3}
STAFF = {"administratif": 2, "vie_scolaire": 3, "accompagnant": 1, "enseignant": 9, "cantine": 2}


def add_censuses(folder: TerritoryFolder, seed: int, now: datetime) -> None:
    """Give most establishments censuses: corrected, of last year, refused, of today overseas, and one without a journal."""
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
    _export(folder, place, year.replace(year=year.year - 1, month=10), draw)
    _export(folder, place, year, draw, enseignant=12)
    _export(folder, place, today - timedelta(days=2), draw, encoding="cp1252", enseignant=3, mairie=1)


def _of_last_year(folder: TerritoryFolder, place: Place, draw: random.Random, today: date) -> None:
    """And one dated tomorrow, which is refused."""
    before = _year(today) - timedelta(days=90)
    _export(folder, place, before, draw, responsable=4, accompagnant=0, administratif=0, vie_scolaire=0, autre=4)
    _export(folder, place, today + timedelta(days=1), draw)


def _of_today(folder: TerritoryFolder, place: Place, draw: random.Random, today: date) -> None:
    """Whose date the territory may not have reached yet."""
    _export(folder, place, today, draw, encoding="utf-8-sig", accompagnant=4)


def _of_both_years(folder: TerritoryFolder, place: Place, draw: random.Random, today: date) -> None:
    """Its rooms and classes were exported once only, at the first date of the year."""
    year = _year(today)
    _export(folder, place, year.replace(year=year.year - 1, month=11), draw)
    _export(folder, place, year, draw)
    later = _export(folder, place, today, draw)
    for name in ("salles", "classes"):
        (later / f"{name}.csv").unlink()


def _spoilt(folder: TerritoryFolder, place: Place, draw: random.Random, today: date) -> None:
    """The newest ones lack a column: the older ones stay, but for the rooms, which are whole."""
    _export(folder, place, _year(today), draw, responsable=0)
    spoilt = _export(folder, place, today - timedelta(days=1), draw)
    for name, column in (("comptes", b"profil"), ("eleves", b"niveau"), ("personnels", b"id"), ("classes", b"nom")):
        path = spoilt / f"{name}.csv"
        head, lines = path.read_bytes().split(b"\r\n", 1)
        path.write_bytes(head.replace(column, b"colonne") + b"\r\n" + lines)


_WRITERS = {uai(750001): _corrected, uai(750002): _of_last_year, uai(750003): _of_today}
_WRITERS |= {uai(9740004): _of_today, uai(750007): _spoilt, uai(750010): _of_last_year}
_WRITERS |= dict.fromkeys((uai(9870005), uai(750008), uai(750009), uai(750011)), _of_both_years)


def _year(today: date) -> date:
    return date(today.year - (today.month < 9), 9, 1)


def _export(
    folder: TerritoryFolder, place: Place, day: date, draw: random.Random, encoding: str = "utf-8", **accounts: int
) -> Path:
    """The five files of one date; `accounts` differ from the usual ones. Returns the dated folder."""
    exports = Exports(draw, CANARY, place.type)
    files = {
        "comptes": exports.accounts(USUAL | accounts),
        "eleves": exports.pupils(draw.randint(50, 90)),
        "personnels": exports.staff(STAFF),
        "classes": exports.classes(),
        "salles": exports.rooms(draw.randint(8, 20)),
    }
    path = folder.path / "censuses" / place.uai / day.isoformat()
    path.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        (path / f"{name}.csv").write_bytes("\r\n".join([*lines, ""]).encode(encoding))
    return path
