"""What the oracle expects, as short texts to be kept in a file and read: "12", "0.25", "nd", "7 partial 0.93", "12 partial left_out=2"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.oracle.cells import Cell
    from tests.support.oracle.count import ExpectedTable


def frozen(expected: ExpectedTable) -> dict[str, Any]:
    """One answer; cells stand in the order of the columns."""
    marked = {column: both for column, both in expected.extremes.items() if any(both)}
    return {
        "from": expected.window.first.isoformat(),
        "to": expected.window.last.isoformat(),
        "complete": expected.window.complete,
        "columns": _line(f"{column}:{unit}" for column, unit in expected.columns.items()),
        "total": _line(_told(expected.total[column]) for column in expected.columns),
        "rows": {
            uai: _line(_told(expected.rows[uai][column]) for column in expected.columns) for uai in expected.order
        },
        "max": {column: " ".join(sorted(high)) for column, (high, _) in marked.items()},
        "min": {column: " ".join(sorted(low)) for column, (_, low) in marked.items()},
    }


def _line(texts: Iterable[str]) -> str:
    return "; ".join(texts)


def _told(cell: Cell) -> str:
    value = "" if cell.value is None else f"{float(cell.value):.6f}".rstrip("0").rstrip(".")
    share = f"{cell.share:.4f}" if cell.share is not None else ""
    left_out = f"left_out={cell.left_out}" if cell.left_out else ""
    return " ".join(filter(None, (value, cell.state, share, left_out)))
