"""Census folders by hand, and what a census says by the names of the catalogue."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from contracts.catalogue import CATALOGUE
from services.collector.census.layouts import LAYOUTS
from services.collector.census.reading import Census, count

DAY = date(2026, 10, 5)


def census_of(name: str, content: str | bytes, day: date = DAY) -> Census:
    """One file's content, counted."""
    return count(LAYOUTS[name], day, content.encode() if isinstance(content, str) else content)


def told(census: Census) -> dict[str, int]:
    """Counts by `measure` or `measure/level or profile`; the marks of the file and of its columns left out."""
    return {name: n for name, n in everything(census).items() if name != "read" and not name.startswith("column.")}


def everything(census: Census) -> dict[str, int]:
    cells = {CATALOGUE.cells[code]: n for code, n in census.counts.items()}
    return {"/".join(filter(None, (cell.measure, cell.level or cell.profile))): n for cell, n in cells.items()}


def faults(census: Census) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.reason, fault.column) for fault in census.faults]


def write(folder: Path, day: str, name: str, content: str | bytes) -> Path:
    """Put one file into a census folder."""
    path = folder / day / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
