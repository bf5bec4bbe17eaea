"""What PRONOTE's web server does, as data versioned by PRONOTE year: the files of `years/`, one reader here."""

from __future__ import annotations

import math
import tomllib
from bisect import bisect_right
from datetime import UTC, date, datetime, time
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.resources.abc import Traversable

SHIPPED = files(__package__) / "years"
"""One file a year; a new year is a new file, and nothing else."""

APART, BEFORE_OPENING, REORDERED = 7200, 120, 60
"""Seconds (rules.md 4): a longer gap ends a session; how old a page may be that tells an opening's access; the reorder buffer.

They are decisions of ours, not facts about PRONOTE, so they are not in the files.
"""


class Espace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A door of PRONOTE's web server; `profile` is '' for those outside the five."""

    id: int
    name: str
    profile: str = ""
    mobile: bool = False


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The facts of one PRONOTE year; comments in `years/2024.toml` say what each is."""

    year: int
    since: date
    hosted_domain: str
    opening_call: str
    opening_order: str
    orders_to_authenticate: int
    calls_with_order: tuple[str, ...]
    calls_without_order: tuple[str, ...]
    pages: tuple[str, ...]
    app_marker: str
    systems_without_app: tuple[str, ...]
    script_agents: tuple[str, ...]
    espace: tuple[Espace, ...]

    @cached_property
    def espaces(self) -> dict[int, Espace]:
        return {espace.id: espace for espace in self.espace}

    def is_app(self, agent: bytes) -> bool:
        """Whether a user agent is, or says that it is, the official app."""
        return self.app_marker.encode() in agent

    def is_script(self, agent: bytes) -> bool:
        """Whether a user agent is no person's browser or app."""
        if self.is_app(agent) and any(system.encode() in agent for system in self.systems_without_app):
            return True
        lower = agent.lower()
        return any(script.encode().lower() in lower for script in self.script_agents)


class Years:
    """The rules of every PRONOTE year, each in force from the first day of its own to that of the next.

    `every`: oldest first; the first is in force before its day too. Servers are upgraded one by one, over a summer: for some
    weeks a line may be read by the rules of a version that its server does not run yet, or runs already.
    """

    def __init__(self, every: Sequence[Rules]) -> None:
        self.every = tuple(every)
        self._starts = [datetime.combine(rules.since, time(), UTC).timestamp() for rules in self.every[1:]]
        known: dict[int, Espace] = {}
        self.espaces: dict[int, dict[int, Espace]] = {}
        """By year and number."""
        for rules in reversed(self.every):
            known = self.espaces[rules.year] = known | rules.espaces

    def at(self, instant: float) -> Rules:
        """The rules in force at a UTC timestamp."""
        return self.every[bisect_right(self._starts, instant)]

    def span(self, instant: float) -> tuple[float, float]:
        """From when until when those are in force."""
        place = bisect_right(self._starts, instant)
        edges = [-math.inf, *self._starts, math.inf]
        return edges[place], edges[place + 1]

    def espace(self, number: int, instant: float) -> Espace | None:
        """The espace that bears a number; one that only later rules list is what they say, since it can be nothing else."""
        return self.espaces[self.at(instant).year].get(number)


def load_rules(year: int | None = None, folder: Traversable = SHIPPED) -> Rules:
    """The rules in force in a PRONOTE year, by default the newest known: each year's file amends those before it."""
    merged: dict[str, Any] = {}
    espaces: dict[int, Any] = {}
    for found in _files(folder):
        if year is None or found["year"] <= year:
            espaces |= {espace["id"]: espace for espace in found.get("espace", ())}
            merged |= found
    return msgspec.convert(merged | {"espace": list(espaces.values())}, Rules)


def load_years(folder: Traversable = SHIPPED) -> Years:
    """The rules of every year that has a file."""
    return Years([load_rules(found["year"], folder) for found in _files(folder)])


def _files(folder: Traversable) -> list[dict[str, Any]]:
    names = [file for file in folder.iterdir() if file.name.endswith(".toml")]
    return sorted((tomllib.loads(file.read_text("utf-8")) for file in names), key=lambda found: int(found["year"]))
