"""One cell of an answer, and what becomes of several in a total (rules.md 7 and 8)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

LEFT_OUT = ("nc", "nd", "s")
NO_VALUE = ("nc", "nd", "s", "na")

SOME_SHARE = float("nan")
"""Doubt: no rule says how the minutes of a rate's two numbers become one share where they differ; there must be one."""


@dataclass(frozen=True)
class Cell:
    """A value or a state without one. A rate keeps its numerator and denominator for the total."""

    value: Fraction | None
    state: str | None = None
    share: float | None = None
    left_out: int = 0
    parts: tuple[int, int] | None = None

    @property
    def competes(self) -> bool:
        """Null and partial cells are nobody's maximum or minimum."""
        return self.value is not None and self.state != "partial"


def without_value(state: str) -> Cell:
    return Cell(None, state)


def rate(numerator: Cell, denominator: Cell) -> Cell:
    """`x / y` once both are known; the first state that applies to either, in the order of the rule."""
    for state in NO_VALUE:
        if state in (numerator.state, denominator.state):
            return without_value(state)
    assert numerator.value is not None
    assert denominator.value is not None
    if denominator.value == 0:
        return without_value("na")
    partial = next((each for each in (numerator, denominator) if each.state == "partial"), None)
    parts = int(numerator.value), int(denominator.value)
    presumed = "estimated" if "estimated" in (numerator.state, denominator.state) else None
    return Cell(Fraction(*parts), "partial" if partial else presumed, partial.share if partial else None, parts=parts)


def added(parts: list[Cell]) -> Cell:
    """A sum inside one line: a part that is `nd` makes the known part `partial`; without a known part, its first state."""
    valued = [cell for cell in parts if cell.value is not None]
    if not valued:
        return without_value(next(state for state in NO_VALUE if any(cell.state == state for cell in parts)))
    partial = len(valued) < len(parts) or any(cell.state == "partial" for cell in valued)
    return Cell(
        sum((cell.value for cell in valued if cell.value is not None), Fraction()), "partial" if partial else None
    )


def total(cells: list[Cell]) -> Cell:
    """Of the lines shown: those with a value are added, those `nc nd s` are left out and said so."""
    left_out = sum(1 for cell in cells if cell.state in LEFT_OUT)
    valued = [cell for cell in cells if cell.value is not None]
    if not valued:
        # Doubt: nothing to add is never 0; the total takes the first state of its lines in the order of the rule.
        state = next((state for state in NO_VALUE if any(cell.state == state for cell in cells)), "na")
        return Cell(None, state, left_out=left_out)
    partial = left_out > 0 or any(cell.state == "partial" for cell in valued)
    presumed = "estimated" if any(cell.state == "estimated" for cell in valued) else None
    return Cell(_summed(valued), "partial" if partial else presumed, left_out=left_out)


def _summed(valued: list[Cell]) -> Fraction:
    if all(cell.parts is not None for cell in valued):
        parts = [cell.parts for cell in valued if cell.parts is not None]
        return Fraction(sum(part[0] for part in parts), sum(part[1] for part in parts))
    return sum((cell.value for cell in valued if cell.value is not None), Fraction())


def extremes(column: dict[str, Cell]) -> tuple[set[str], set[str]]:
    """UAIs that hold the maximum and the minimum; none where fewer than two different values compete."""
    values = {uai: cell.value for uai, cell in column.items() if cell.competes and cell.value is not None}
    if len(set(values.values())) < 2:
        return set(), set()
    high, low = max(values.values()), min(values.values())
    return {uai for uai, value in values.items() if value == high}, {
        uai for uai, value in values.items() if value == low
    }
