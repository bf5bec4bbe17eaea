"""Grants as an operator writes them: `UAI:FAMILY[:FROM[:TO]]`, where a source stands for all its families. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from contracts.catalogue import CATALOGUE
from contracts.registry import Grant
from services.identity import errors, particulars

SOURCES: dict[str, tuple[str, ...]] = {
    source: tuple(family.id for family in CATALOGUE.families.values() if family.source in followed)
    for source, followed in (
        ("journal", ("connections", "journal")),
        ("access-log", ("connections", "access-log")),
        ("census", ("census",)),
    )
}
"""Families that each source of an establishment can supply. Diagnostics go with any grant and need none."""
MAX_PARTS = 4


def read_grants(agent: str, texts: Iterable[str]) -> list[Grant]:
    """Grants of an agent, once each, such as `0860001J:journal` or `0860001J:web:2026-09-01:2026-12-31`."""
    return list(dict.fromkeys(grant for text in texts for grant in _read(agent, text)))


def _read(agent: str, text: str) -> list[Grant]:
    uai, _, rest = text.partition(":")
    parts = rest.split(":")
    if not rest or len(parts) >= MAX_PARTS:
        raise errors.InvalidGrantError(f"{text!r} is not a grant: UAI:FAMILY[:FROM[:TO]] is expected")
    first, last = (_day(part, text) for part in (*parts[1:], "", "")[:2])
    return grants_of(agent, uai, [parts[0]], first, last)


def grants_of(
    agent: str, uai: str, families_or_sources: Iterable[str], first: date | None, last: date | None
) -> list[Grant]:
    """One grant per family; both days are included, None where unbounded."""
    known = particulars.a_uai(uai)
    particulars.in_order(first, last, f"grant for {known}")
    families = (family for each in families_or_sources for family in SOURCES.get(each) or [particulars.a_family(each)])
    return [Grant(agent, known, family, first, last) for family in dict.fromkeys(families)]


def _day(text: str, grant: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise errors.InvalidGrantError(f"{grant!r}: {text!r} is not a date such as 2026-09-01") from error
