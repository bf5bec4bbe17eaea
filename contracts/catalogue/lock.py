"""The numbering of cells, held still: `cells.lock` names every code ever given; lines are added, never changed or removed."""

from __future__ import annotations

from pathlib import Path

from contracts.catalogue import CATALOGUE, Cell

PATH = Path(__file__).with_name("cells.lock")


class RenumberedCellError(ValueError):
    """A code that was given to one cell names another or nothing: stored sheets would change their meaning."""

    code = "renumbered_cell"


def line(cell: Cell) -> str:
    """One line of the lock: the code, then its family, measure and dimensions."""
    return ",".join((str(cell.code), cell.family, cell.measure, cell.profile, cell.channel, cell.access, cell.level))


def current() -> list[str]:
    """The lines that the catalogue asks for today, by code."""
    return [line(cell) for cell in CATALOGUE.cells.values()]


def export(path: Path = PATH) -> None:
    """Add the catalogue's new cells to the lock; `RenumberedCellError` when an old one changed."""
    kept = path.read_text("utf-8").splitlines() if path.exists() else []
    if lost := sorted(set(kept) - set(current())):
        raise RenumberedCellError(f"cells that changed or vanished: {'; '.join(lost[:5])}")
    path.write_text("\n".join(current()) + "\n", "utf-8")
