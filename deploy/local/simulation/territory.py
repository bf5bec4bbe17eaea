"""The fictitious collèges and the files that describe them to the platform, in the bring-your-own format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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

_FIRST_NUMBER = 869_001
"""Numbers of the fictitious UAI start here: the Vienne's prefix, far above the numbers in use there."""

_NOTICE = """\
# Territoire fictif, pour la démonstration : ces collèges, leurs UAI (aux clés valides) et les personnes n'existent pas.
# Les dates de vacances sont les vraies ; les rythmes de la journée et de la semaine sont inventés.
"""


@dataclass(frozen=True)
class College:
    """One fictitious collège; `ent` tells whether its users have an ENT to come through."""

    number: int
    name: str
    postal_codes: tuple[str, ...]
    ent: bool
    convention: str

    @property
    def uai(self) -> str:
        digits = f"{self.number:07d}"
        return digits + key_letter(digits)


_DESCRIPTIONS = (
    ("des Trois-Ormes", ("86000",), True, "joint"),
    ("du Vieux-Gué", ("86000", "86180"), True, "consent"),
    ("de la Belle-Étoile", ("86100",), True, "consent"),
    ("des Bruyères", ("86200",), False, "consent"),
    ("de l'Écluse", ("86300",), True, "joint"),
    ("des Quatre-Vents", ("86400",), False, "consent"),
    ("du Pré-aux-Grues", ("86500",), True, "consent"),
    ("des Châtaigniers", ("86130",), True, "consent"),
    ("de la Chouette", ("86170",), False, "consent"),
    ("du Val-Tournant", ("86240",), True, "joint"),
    ("des Libellules", ("86160", "86350"), True, "consent"),
    ("de l'Arc-en-Ciel", ("86110",), False, "consent"),
)

COLLEGES = tuple(
    College(_FIRST_NUMBER + place, f"Collège {name} (fictif)", postal_codes, ent, convention)
    for place, (name, postal_codes, ent, convention) in enumerate(_DESCRIPTIONS)
)
"""Twelve collèges of one département. Names are marked as fictitious wherever they show."""


def write_territory(folder: Path, colleges: Sequence[College]) -> None:
    """`territory.toml` and one `agent.toml` per collège; files that are there stay as they are."""
    for college in colleges:
        (folder / college.uai).mkdir(parents=True, exist_ok=True)
        _write_once(folder / college.uai / "agent.toml", _agent_toml(college))
    _write_once(folder / "territory.toml", _territory_toml(colleges))


def _write_once(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text, encoding="utf-8")


def _agent_toml(college: College) -> str:
    return f'{_NOTICE}# {college.name}\njournal = "{JOURNAL_GLOB}"\nconnections_from = "journal"\n'


def _territory_toml(colleges: Sequence[College]) -> str:
    head = f'{_NOTICE}name = "{TERRITORY_NAME}"\nzone = "{ZONE}"\n'
    return head + "".join(_establishment_toml(college) for college in colleges)


def _establishment_toml(college: College) -> str:
    codes = ", ".join(f'"{code}"' for code in college.postal_codes)
    return (
        f'\n[[establishment]]\nuai = "{college.uai}"\nname = "{college.name}"\ntype = "college"\nzone = "{ZONE}"\n'
        f'postal_codes = [{codes}]\nconvention = "{college.convention}"\n'
    )
