"""What an establishment's sources supply, and what every source must be able to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from contracts.catalogue import CATALOGUE
from services.collector.config import SourcesSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

JOURNAL, ACCESS_LOG = "journal", "access-log"
ACCESS_LOG_FAMILIES = ("web", "observed.access-log", "diagnostics")
JOURNAL_FAMILIES = (
    "software",
    "people",
    "activities.scolarite",
    "activities.communications",
    "activities.travaux",
    "activities.social",
    "observed.journal",
    "diagnostics",
)
CENSUS_FAMILIES = tuple(family.id for family in CATALOGUE.families.values() if family.kind == "level")


class Source(Protocol):
    """Something an agent reads for one establishment, turn after turn, each turn committed with its positions."""

    name: str

    def turn(self, now: datetime, *, budget: int, to_the_end: bool) -> bool:
        """Read about `budget` bytes on and commit what they say; whether the end was reached.

        `to_the_end`: a last line without newline counts (`--until-idle`).
        """


def families_of(sources: SourcesSettings | Mapping[str, Any]) -> list[str]:
    """Families that an establishment's sources supply, in the catalogue's order.

    `sources` is what `config.read_sources(folder)` returns, or the table that its `agent.toml` holds.
    """
    settings = sources if isinstance(sources, SourcesSettings) else msgspec.convert(dict(sources), SourcesSettings)
    supplied: set[str] = set()
    if settings.journal:
        supplied.update(JOURNAL_FAMILIES)
        supplied.update(["web"] if settings.connections_source == JOURNAL else [])
    if settings.connections_source == ACCESS_LOG:
        supplied.update(ACCESS_LOG_FAMILIES)
    if settings.census:
        supplied.update(CENSUS_FAMILIES)
    return [family for family in CATALOGUE.families if family in supplied]
