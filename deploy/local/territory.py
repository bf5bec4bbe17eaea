"""Reads a territory to bring up (`territory.toml` and one `agent.toml` per establishment) and says what is wrong with it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from chassis.errors import NamedError
from contracts.establishment_type import kind_of
from deploy.local.errors import BadTerritoryError
from services.collector.config import SOURCES_FILE, read_sources
from services.collector.errors import SettingsError
from services.collector.sources import families_of
from services.identity import particulars

FILE = "territory.toml"
CONVENTIONS = ("consent", "joint", "none")
KNOWN = {"uai", "name", "type", "zone", "postal_codes", "opened", "closed", "convention"}

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Establishment:
    """One `[[establishment]]`; `sources` is the folder of its `agent.toml`, None where there is nothing to read."""

    uai: str
    name: str
    type: str
    zone: str
    postal_codes: tuple[str, ...]
    opened: date | None
    closed: date | None
    convention: str
    sources: Path | None
    families: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Territory:
    """A checked territory; `remarks` are what was read and not used, for the operator to see."""

    name: str
    zone: str
    establishments: tuple[Establishment, ...]
    remarks: tuple[str, ...] = ()

    @property
    def served(self) -> list[Establishment]:
        """Those that the agent reads. Without a convention nothing is enrolled."""
        return [each for each in self.establishments if each.sources and each.convention != "none"]


def read_territory(folder: Path) -> Territory:
    """The whole description, or `BadTerritoryError` with file, line, field and what to do."""
    path = folder / FILE
    text = _text(path)
    table = _table(path, text)
    top = _Entry(path, "", table, 0)
    entries = _entries(path, text, table)
    establishments = tuple(_establishment(folder, entry) for entry in entries)
    _refuse_twice(establishments, entries)
    remarks = [
        f"{path}: {name} is not a field of a territory; it is not used"
        for name in {*table} - {"name", "zone", "establishment"}
    ]
    for entry, establishment in zip(entries, establishments, strict=True):
        remarks += [entry.remark(name) for name in sorted({*entry.table} - KNOWN)]
        remarks += entry.remarks_on(establishment)
    return Territory(
        top.checked("name", _a_text, required=True), top.checked("zone", particulars.a_zone, required=True),
        establishments, tuple(remarks),
    )  # fmt: skip


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # a pipe would hold its reader for ever
            raise BadTerritoryError(f"{path} is a folder, a pipe or a device; it must be a readable UTF-8 file.")
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise BadTerritoryError(
            f"{path} does not exist; write it as README.md shows, or name another folder with --territory."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadTerritoryError(f"{path} cannot be read ({error}); it must be a readable UTF-8 file.") from error


def _table(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadTerritoryError(f"{path} is not TOML: {error}; correct that line.") from error


@dataclass(frozen=True, slots=True)
class _Entry:
    """One table of the file and where it begins, to speak about its fields."""

    path: Path
    where: str
    table: Mapping[str, Any]
    line: int

    def fault(self, field: str, what: str) -> BadTerritoryError:
        place = ", ".join(
            part for part in (str(self.path), f"line {self.line}" if self.line else "", self.where, field) if part
        )
        return BadTerritoryError(f"{place}: {what}; correct it and run the command again.")

    def remark(self, field: str) -> str:
        return f"{self.path}, {self.where}: {field} is not a field of an establishment; it is not used"

    def remarks_on(self, establishment: Establishment) -> Iterator[str]:
        """What is accepted and may surprise."""
        if kind_of(establishment.type) is None:
            yield (
                f"{self.path}, {self.where}: type {establishment.type!r} is neither an école, a collège nor a lycée; without a "
                "census its staff is kept as secret as an école's"
            )
        if establishment.sources is None and establishment.convention != "none":
            yield f"{self.path}, {self.where}: there is no {establishment.uai}/{SOURCES_FILE}; nothing will be read for it"

    def checked(self, field: str, check: Callable[[Any], _T], *, required: bool = False, absent: Any = None) -> _T:
        """The value as the registry keeps it; what is wrong with it is said with its place."""
        if field not in self.table:
            if required:
                raise self.fault(field, "is missing")
            return check(absent)
        try:
            return check(self.table[field])
        except (NamedError, ValueError) as error:
            raise self.fault(field, str(error)) from error


def _entries(path: Path, text: str, table: Mapping[str, Any]) -> list[_Entry]:
    found = table.get("establishment", [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _Entry(path, "", table, 0).fault(
            "establishment", "must be written [[establishment]], once per establishment"
        )
    lines = [
        number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*establishment\s*\]\]", line)
    ]
    lines += [0] * (len(found) - len(lines))  # an array written inline has no lines of its own
    return [_Entry(path, _named(place, each), each, lines[place]) for place, each in enumerate(found)]


def _named(place: int, table: Mapping[str, Any]) -> str:
    return (
        f"establishment {place + 1} ({table['uai']})"
        if isinstance(table.get("uai"), str)
        else f"establishment {place + 1}"
    )


def _establishment(folder: Path, entry: _Entry) -> Establishment:
    uai = entry.checked("uai", lambda value: particulars.a_uai(_is_text(value)), required=True)
    opened, closed = entry.checked("opened", _a_day), entry.checked("closed", _a_day)
    if opened and closed and closed < opened:
        raise entry.fault("closed", f"{closed} comes before opened, {opened}")
    sources = _sources_folder(folder, uai)
    return Establishment(
        uai=uai,
        name=entry.checked("name", _a_text, required=True),
        type=entry.checked("type", _a_text, required=True),
        zone=entry.checked("zone", lambda value: particulars.a_zone(_is_text(value)), required=True),
        postal_codes=entry.checked("postal_codes", _codes, absent=()),
        opened=opened,
        closed=closed,
        convention=entry.checked("convention", _convention, absent="consent"),
        sources=sources,
        families=_families(sources),
    )


def _sources_folder(folder: Path, uai: str) -> Path | None:
    sources = folder / uai
    return sources if (sources / SOURCES_FILE).exists() else None


def _families(sources: Path | None) -> tuple[str, ...]:
    if sources is None:
        return ()
    try:
        return tuple(families_of(read_sources(sources)))
    except SettingsError as error:
        raise BadTerritoryError(f"{error}; correct it and run the command again.") from error


def _refuse_twice(establishments: Sequence[Establishment], entries: Sequence[_Entry]) -> None:
    seen: set[str] = set()
    for establishment, entry in zip(establishments, entries, strict=True):
        if establishment.uai in seen:
            raise entry.fault("uai", f"{establishment.uai} is described twice")
        seen.add(establishment.uai)


def _is_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")  # noqa: TRY004 - one kind of error for `checked`
    return value


def _a_text(value: Any) -> str:
    return particulars.a_text(_is_text(value), "the text")


def _a_day(value: Any) -> date | None:
    if value is None or (isinstance(value, date) and type(value) is date):
        return value
    try:
        return date.fromisoformat(_is_text(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a day such as 2026-09-01") from None


def _codes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f'{value!r} is not a list such as ["86000"]')  # noqa: TRY004 - one kind of error for `checked`
    return particulars.postal_codes(tuple(map(_is_text, value)))


def _convention(value: Any) -> str:
    if value not in CONVENTIONS:
        raise ValueError(f"{value!r} is not one of {', '.join(CONVENTIONS)}")
    return str(value)
