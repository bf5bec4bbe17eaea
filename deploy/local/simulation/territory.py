"""The fictitious establishments and the files that describe them to the platform, in the bring-your-own format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

from contracts.periods import school_year_start
from contracts.uai import key_letter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TERRITORY_NAME = "Département de la Vienne (fictif)"
ZONE = "Europe/Paris"
SCHOOL_ZONE = "A"
"""Zone of the school holidays: the Vienne is in the académie de Poitiers."""

JOURNAL_GLOB = "journal-*.ndjson*"
"""What an agent reads: plain files for what is recent, `.gz` for the history that streamed in behind."""

_NOTICE = """\
# Territoire fictif, pour la démonstration : ces établissements, leurs UAI (aux clés valides) et les personnes n'existent pas.
# Les dates de vacances sont les vraies ; les rythmes de la journée et de la semaine sont inventés.
"""

Kind = Literal["college", "lycee", "ecole"]
LEVELS: dict[Kind, tuple[str, ...]] = {
    "college": ("6EME", "5EME", "4EME", "3EME"),
    "lycee": ("2NDE", "1ERE", "TALE"),
    "ecole": ("CP", "CE1", "CE2", "CM1", "CM2"),
}
"""By kind, from the level where pupils enter."""

SILENT_AFTER, SILENT_FOR = timedelta(days=7), timedelta(days=14)
"""An establishment whose export stops: from a week after the first screen's first day, for two weeks."""


@dataclass(frozen=True)
class Establishment:
    """One fictitious establishment; `ent` tells whether its users have an ENT to come through.

    `pupils`: least and most of them; with cohorts of unequal size a collège keeps within what is published (430 to 830).
    `fate`: what happens to it, in dates that `dated` makes of the folder's first day. `opened` and `closed` are in the registry;
    `joined` is when its export began; it writes nothing in the days of `silent` (first, last).
    """

    number: int
    name: str
    postal_codes: tuple[str, ...]
    ent: bool = True
    convention: Literal["consent", "joint"] = "consent"
    kind: Kind = "college"
    zone: str = ZONE
    school_zone: str = SCHOOL_ZONE
    pupils: tuple[int, int] = (450, 795)
    segpa: bool = False
    fate: Literal["", "closed", "joined", "silent"] = ""
    closed: date | None = None
    joined: date | None = None
    silent: tuple[date, date] | None = None

    @property
    def uai(self) -> str:
        digits = f"{self.number:07d}"
        return digits + key_letter(digits)

    @property
    def levels(self) -> tuple[str, ...]:
        return LEVELS[self.kind]

    def exists_on(self, day: date) -> bool:
        return self.closed is None or day <= self.closed

    def writes_on(self, day: date) -> bool:
        """Whether its journal holds anything of a local day, heartbeats included."""
        silent = self.silent is not None and self.silent[0] <= day <= self.silent[1]
        return self.exists_on(day) and (self.joined is None or self.joined <= day) and not silent


def dated(establishment: Establishment, since: date) -> Establishment:
    """Its fate in dates, for a folder whose plain journals begin on `since`: always within what the demonstration shows."""
    year = school_year_start(since).year
    match establishment.fate:
        case "closed":
            return replace(establishment, closed=date(year, 2, 27))
        case "joined":
            return replace(establishment, joined=date(year, 3, 2))
        case "silent":
            first = since + SILENT_AFTER
            return replace(establishment, silent=(first, first + SILENT_FOR - timedelta(days=1)))
    return establishment


_PLACES: tuple[tuple[int, str, str, dict[str, Any]], ...] = (
    (869_001, "Collège des Trois-Ormes", "86000", {"convention": "joint", "segpa": True}),
    (869_002, "Collège du Vieux-Gué", "86000 86180", {}),
    (869_003, "Collège de la Belle-Étoile", "86100", {}),
    (869_004, "Collège des Bruyères", "86200", {"ent": False, "fate": "silent"}),
    (869_005, "Collège de l'Écluse", "86300", {"convention": "joint"}),
    (869_006, "Collège des Quatre-Vents", "86400", {"ent": False, "fate": "joined"}),
    (869_007, "Collège du Pré-aux-Grues", "86500", {"segpa": True}),
    (869_008, "Collège des Châtaigniers", "86130", {}),
    (869_009, "Collège de la Chouette", "86170", {"ent": False, "fate": "closed"}),
    (869_010, "Collège du Val-Tournant", "86240", {"convention": "joint"}),
    (869_011, "Collège des Libellules", "86160 86350", {}),
    (869_012, "Collège de l'Arc-en-Ciel", "86110", {"ent": False}),
    (869_020, "Lycée du Grand-Clain", "86000", {"kind": "lycee", "pupils": (700, 1250)}),
    (869_030, "École des Hirondelles", "86190", {"kind": "ecole", "pupils": (95, 190), "ent": False}),
    (869_031, "École du Petit-Moulin", "86430", {"kind": "ecole", "pupils": (13, 16), "ent": False}),
    (9_749_001, "Collège de la Ravine-Bleue", "97400", {"zone": "Indian/Reunion", "school_zone": ""}),
)
"""Number of the UAI (the Vienne's prefix, far above the numbers in use there), name, postal codes, and what sets each apart.

The école of some fifteen pupils has a single teacher; the collège overseas is there so that a page meets another zone.
"""

ESTABLISHMENTS = tuple(
    Establishment(number, f"{name} (fictif)", tuple(codes.split()), **apart) for number, name, codes, apart in _PLACES
)
"""Names are marked as fictitious wherever they show."""


def write_territory(folder: Path, establishments: Sequence[Establishment]) -> None:
    """`territory.toml` and one `agent.toml` per establishment; files that are there stay as they are."""
    for establishment in establishments:
        (folder / establishment.uai).mkdir(parents=True, exist_ok=True)
        _write_once(folder / establishment.uai / "agent.toml", _agent_toml(establishment))
    _write_once(folder / "territory.toml", _territory_toml(establishments))


def _write_once(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text, encoding="utf-8")


def _agent_toml(establishment: Establishment) -> str:
    return f'{_NOTICE}# {establishment.name}\njournal = "{JOURNAL_GLOB}"\nconnections_from = "journal"\ncensus = "census"\n'


def _territory_toml(establishments: Sequence[Establishment]) -> str:
    head = f'{_NOTICE}name = "{TERRITORY_NAME}"\nzone = "{ZONE}"\n'
    return head + "".join(_establishment_toml(establishment) for establishment in establishments)


def _establishment_toml(establishment: Establishment) -> str:
    codes = ", ".join(f'"{code}"' for code in establishment.postal_codes)
    closed = f"closed = {establishment.closed}\n" if establishment.closed else ""
    return (
        f'\n[[establishment]]\nuai = "{establishment.uai}"\nname = "{establishment.name}"\ntype = "{establishment.kind}"\n'
        f'zone = "{establishment.zone}"\npostal_codes = [{codes}]\nconvention = "{establishment.convention}"\n{closed}'
    )
