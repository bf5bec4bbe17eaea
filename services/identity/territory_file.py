"""A whole territory in one document: what `territoriale admin import` reads. Pure: reading and checking only.

    {"territory": {"id": "d999", "name": "Département de démonstration", "zone": "Europe/Paris", "threshold": 5},
     "establishments": [{"uai": "0750654D", "name": "Collège A", "type": "college", "zone": "Europe/Paris",
                         "postal_codes": ["75001"], "opened": "2020-09-01", "closed": null, "convention": "consent"}],
     "agent": {"id": "local", "public_key": "<base64 of 32 bytes, or PEM>"},
     "grants": [{"uai": "0750654D", "family": "web", "from": "2025-09-01", "to": null}],
     "token": "<32 to 200 visible ASCII characters>"}

Required: the territory's `name` and `zone`, an establishment's `uai name type zone`, a grant's `uai family`. The territory's id is
made from its name when absent; `convention` is consent (default), joint or none; grants are the agent's, unbounded where a day is
absent; a token is made when none is given.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from contracts.registry import AgentKey, Establishment, Grant, Territory
from services.identity import errors, particulars


class TerritoryEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    zone: str
    id: str | None = None
    threshold: int = 5

    def checked(self) -> Territory:
        name = particulars.a_text(self.name, "the territory's name")
        given = particulars.slug(name) if self.id is None else self.id
        zone, threshold = particulars.a_zone(self.zone), particulars.a_threshold(self.threshold)
        return Territory(particulars.an_id(given), name, zone, threshold)


class EstablishmentEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    uai: str
    name: str
    type: str
    zone: str
    postal_codes: tuple[str, ...] = ()
    opened: date | None = None
    closed: date | None = None
    convention: Literal["consent", "joint", "none"] = "consent"

    def checked(self) -> Establishment:
        particulars.in_order(self.opened, self.closed, self.uai)
        return Establishment(
            uai=particulars.a_uai(self.uai),
            name=particulars.a_text(self.name, f"the name of {self.uai}"),
            type=particulars.a_text(self.type, f"the type of {self.uai}"),
            zone=particulars.a_zone(self.zone),
            postal_codes=particulars.postal_codes(self.postal_codes),
            opened=self.opened,
            closed=self.closed,
        )


class AgentEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    public_key: str

    def checked(self) -> AgentKey:
        return AgentKey(particulars.an_id(self.id), particulars.a_public_key(self.public_key))


class GrantEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_day": "from", "to_day": "to"}):
    uai: str
    family: str
    from_day: date | None = None
    to_day: date | None = None

    def checked(self, agent: str) -> Grant:
        particulars.in_order(self.from_day, self.to_day, f"grant of {self.family} for {self.uai}")
        uai, family = particulars.a_uai(self.uai), particulars.a_family(self.family)
        return Grant(agent, uai, family, self.from_day, self.to_day)


class TerritoryFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document as it stands, types checked; `checked()` checks the rest."""

    territory: TerritoryEntry
    establishments: list[EstablishmentEntry] = []
    agent: AgentEntry | None = None
    grants: list[GrantEntry] = []
    token: str | None = None


class CheckedFile(msgspec.Struct, frozen=True):
    """A document that the registry can hold; `conventions` gives each UAI its kind, None for none."""

    territory: Territory
    establishments: list[Establishment]
    conventions: dict[str, Literal["consent", "joint"] | None]
    key: AgentKey | None
    grants: list[Grant]
    token: str | None


def read(content: bytes | str) -> TerritoryFile:
    """Decode a document; `InvalidFileError` names the field at fault."""
    try:
        return msgspec.json.decode(content, type=TerritoryFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise errors.InvalidFileError(f"the file is not a territory to import: {error}") from error


def check(file: TerritoryFile) -> CheckedFile:
    """Everything that can be said without the database; the first fault is raised by its name."""
    establishments = [entry.checked() for entry in file.establishments]
    uais = [establishment.uai for establishment in establishments]
    _refuse_twice(uais)
    key = file.agent.checked() if file.agent else None
    return CheckedFile(
        territory=file.territory.checked(),
        establishments=establishments,
        conventions={
            uai: None if entry.convention == "none" else entry.convention
            for uai, entry in zip(uais, file.establishments, strict=True)
        },
        key=key,
        grants=_checked_grants(file, key, set(uais)),
        token=None if file.token is None else particulars.a_token(file.token),
    )


def _refuse_twice(uais: list[str]) -> None:
    seen: set[str] = set()
    for uai in uais:
        if uai in seen:
            raise errors.InvalidFileError(f"{uai} is in the file twice")
        seen.add(uai)


def _checked_grants(file: TerritoryFile, key: AgentKey | None, uais: set[str]) -> list[Grant]:
    if file.grants and key is None:
        raise errors.InvalidFileError("the file holds grants and no agent to hold them")
    grants = list(dict.fromkeys(entry.checked(key.agent) for entry in file.grants if key))
    for grant in grants:
        if grant.uai not in uais:
            raise errors.InvalidFileError(f"a grant names {grant.uai}, which the file does not hold")
    return grants
