"""`territory.toml` and each `agent.toml`, read as interfaces.md describes them."""

from __future__ import annotations

import glob
import tomllib
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from tests.support.oracle.days import Window


@dataclass(frozen=True)
class Establishment:
    uai: str
    name: str
    type: str
    zone: ZoneInfo
    postal_codes: tuple[str, ...]
    opened: date | None
    closed: date | None
    convention: str
    has_journal: bool
    journal: tuple[Path, ...]
    census: Path | None = None
    access_log: tuple[Path, ...] = ()
    hosts: frozenset[str] = frozenset()
    cas: bool = True
    connections_from: str | None = None
    hosts_of_log: frozenset[str] = frozenset()

    @property
    def presumed(self) -> bool:
        """Connections by web and mobile come from the access log; by default that is where there is no journal."""
        return bool(self.access_log) and (self.connections_from or ("journal" if self.has_journal else "")) != "journal"

    @property
    def is_read(self) -> bool:
        return self.has_journal or self.presumed

    def open_in(self, window: Window) -> bool:
        """On any day of it."""
        return (self.opened is None or window.last >= self.opened) and (
            self.closed is None or window.first <= self.closed
        )

    def open_on(self, day: date) -> bool:
        """Doubt: `closed` is read as the last day of life, both ends included; the rules do not say."""
        return (self.opened is None or day >= self.opened) and (self.closed is None or day <= self.closed)


@dataclass(frozen=True)
class Territory:
    name: str
    zone: ZoneInfo
    establishments: tuple[Establishment, ...]

    @property
    def lines(self) -> list[Establishment]:
        """The lines of every table: a convention in force, data or not."""
        return [each for each in self.establishments if each.convention != "none"]


def read_territory(folder: Path) -> Territory:
    described = tomllib.loads((folder / "territory.toml").read_text("utf-8"))
    found = [_establishment(folder, each) for each in described.get("establishment", [])]
    return Territory(
        described["name"], ZoneInfo(described["zone"]), tuple(_with_neighbours(each, found) for each in found)
    )


def _with_neighbours(establishment: Establishment, every: list[Establishment]) -> Establishment:
    """A host of another establishment of the same log is granted: it is no `other_host`."""
    shared = [each.hosts for each in every if set(each.access_log) & set(establishment.access_log)]
    return replace(establishment, hosts_of_log=frozenset[str]().union(*shared))


def _establishment(folder: Path, described: dict[str, Any]) -> Establishment:
    own = folder / described["uai"]
    settings = own / "agent.toml"
    agent = tomllib.loads(settings.read_text("utf-8")) if settings.exists() else {}
    return Establishment(
        uai=described["uai"],
        name=described["name"],
        type=described["type"],
        zone=ZoneInfo(described["zone"]),
        postal_codes=tuple(described.get("postal_codes", ())),
        opened=_day(described.get("opened")),
        closed=_day(described.get("closed")),
        convention=described.get("convention", "consent"),
        has_journal=bool(agent.get("journal")),
        journal=tuple(_files(own, agent.get("journal", []))),
        census=own / agent["census"] if agent.get("census") else None,
        access_log=tuple(_files(own, agent.get("access_log", []))),
        hosts=frozenset([f"{described['uai'].lower()}.index-education.net", *agent.get("hosts", [])]),
        cas=agent.get("cas", True),
        connections_from=agent.get("connections_from"),
    )


def _day(value: object) -> date | None:
    """A TOML date, or the same as text."""
    return date.fromisoformat(value) if isinstance(value, str) else value  # type: ignore[return-value]


def _files(own: Path, named: str | list[str]) -> list[Path]:
    """Existing files that a path, glob or list names, each once."""
    found: dict[Path, None] = {}
    for pattern in [named] if isinstance(named, str) else named:
        for path in sorted(glob.glob(str(own / pattern))):  # noqa: PTH207 -- `..` in the pattern, which Path.glob refuses
            if Path(path).is_file():
                found[Path(path).resolve()] = None
    return list(found)
