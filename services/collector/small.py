"""Which profiles are small in which month (rules.md 5): their figures leave per month, once the month is over. Pure."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from contracts.establishment_type import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

WITHOUT_CENSUS = frozenset({"accompagnant"})
WITHOUT_CENSUS_IN_SCHOOL = frozenset({"accompagnant", "enseignant", "personnel"})
"""Taken as small while no census was read; an école has one teacher a class. A type that nobody knows may be one."""


class SmallProfiles:
    """Small profiles by month: `known` maps the first month that a census applies to, to the profiles it found small."""

    def __init__(self, establishment_type: str, known: Mapping[date, Iterable[str]]) -> None:
        kind = kind_of(establishment_type)
        self._default = WITHOUT_CENSUS_IN_SCHOOL if kind in {"ecole", None} else WITHOUT_CENSUS
        self._months = sorted(known)
        self._profiles = [frozenset(known[month]) for month in self._months]

    def of_month(self, month: date) -> frozenset[str]:
        """Profiles that are small in the month that starts on `month`."""
        place = bisect_right(self._months, month)
        return self._profiles[place - 1] if place else self._default
