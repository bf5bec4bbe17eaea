"""The five files of a census as data: columns, which are required, and what each row and cell counts as (rules.md 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from contracts.catalogue import CATALOGUE
from services.collector.census.columns import (
    Codes,
    Column,
    Meaning,
    band_of,
    codes,
    number_of,
    one_of,
    optional,
    yes_no,
)

NO_LEVEL = "AUTRE"
"""Where a pupil or a class without a level stands: in totals, in no level that a census table shows."""
OTHER = "autre"
"""Profile of accounts that none of the named ones fits, and of staff of another category."""
DAYS = {0: "b0", 1: "b1_4", 5: "b5_9", 10: "b10_19", 20: "b20"}
"""Bands of half-days and lateness by their first number: 20 is in the last, not nowhere."""
FACTS = {0: "b0", 1: "b1_2", 3: "b3_5", 6: "b6"}
"""Bands of sanctions, punishments and incidents."""


@dataclass(frozen=True)
class Layout:
    """One file: `key` is unique in it, `grouping` (if any) says in which group a row counts.

    `group_of` gives the group of a trimmed cell, '' for a row that counts in none, None for a row to refuse.
    """

    name: str
    key: str
    counted: Codes
    grouping: str = ""
    group_of: Callable[[str], str | None] = field(default=lambda _: "")
    required: Mapping[str, Column] = field(default_factory=dict)
    optional: Mapping[str, Column] = field(default_factory=dict)

    @property
    def file(self) -> str:
        return f"{self.name}.csv"

    @property
    def family(self) -> str:
        return f"census.{self.name}"

    @property
    def required_names(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.key, self.grouping, *self.required)))

    @property
    def read(self) -> int:
        """Code of the cell that says that this file was read."""
        return CATALOGUE.code(self.family, "read")


def level_of(text: str) -> str | None:
    """A level as the catalogue writes it; none is AUTRE, an unknown one refuses the row."""
    level = text.upper() or NO_LEVEL
    return level if level in CATALOGUE.levels else None


def _profile_of(profiles: Codes, empty: str) -> Callable[[str], str]:
    """Anything that is not named is `autre`; `empty` is what a row that says nothing is."""
    return lambda text: (text.lower() if text.lower() in profiles else OTHER) if text else empty


def _comptes() -> Layout:
    family = "census.comptes"
    accounts = codes(family, "accounts")
    girls, boys = ({"eleve": CATALOGUE.code(family, f"accounts_{sex}")} for sex in ("girls", "boys"))
    return Layout(
        name="comptes",
        key="id",
        counted=accounts,
        grouping="profil",
        # The annex defines other accounts by difference from those named: one that says nothing is among them.
        group_of=_profile_of(accounts, empty=OTHER),
        optional={"sexe": optional(family, "sexe", one_of({"F": girls, "M": boys}), groups=["eleve"])},
    )


def _eleves() -> Layout:
    family = "census.eleves"
    own = {measure.id: codes(family, measure.id) for measure in CATALOGUE.measures.values() if measure.family == family}
    meanings: dict[str, Meaning] = {
        "sexe": one_of({"F": own["girls"], "M": own["boys"]}),
        "regime": one_of({"DP": own["half_boarders"], "INT": own["boarders"], "EXT": None}),
        "hors_secteur": yes_no(own["out_of_sector"]),
        "transport": yes_no(own["public_transport"]),
        "plans": number_of(own["plans"], having=own["pupils_with_plans"]),
        "plans_medicaux": number_of(own["medical_plans"], having=own["pupils_with_medical_plans"]),
        "accompagne": yes_no(own["accompanied"]),
        "decrochage": yes_no(own["dropout"]),
        "absences": band_of({first: own[f"absence_half_days.{band}"] for first, band in DAYS.items()}),
        "retards": band_of({first: own[f"lateness.{band}"] for first, band in DAYS.items()}),
        "sanctions": band_of({first: own[f"sanctions.{band}"] for first, band in FACTS.items()}),
        "punitions": band_of({first: own[f"punishments.{band}"] for first, band in FACTS.items()}),
        "incidents": band_of({first: own[f"incidents.{band}"] for first, band in FACTS.items()}),
    }
    return Layout(
        name="eleves",
        key="id",
        counted=own["pupils"],
        grouping="niveau",
        group_of=level_of,
        optional={name: optional(family, name, meaning) for name, meaning in meanings.items()},
    )


def _personnels() -> Layout:
    staff = codes("census.personnels", "staff")
    # No sentence makes a category out of an empty cell: the row is left out of that column, which is the only one counted.
    return Layout("personnels", "id", staff, grouping="categorie", group_of=_profile_of(staff, empty=""))


def _classes() -> Layout:
    return Layout("classes", "nom", codes("census.classes", "classes"), grouping="niveau", group_of=level_of)


def _salles() -> Layout:
    family = "census.salles"
    slots = {"creneaux_occupes": "occupied_slots", "creneaux_ouverts": "open_slots"}
    columns = {name: Column(number_of(codes(family, measure))) for name, measure in slots.items()}
    return Layout("salles", "nom", codes(family, "rooms"), required=columns)


LAYOUTS = {layout.name: layout for layout in (_comptes(), _eleves(), _personnels(), _classes(), _salles())}
"""The files of a census, in the catalogue's order."""
