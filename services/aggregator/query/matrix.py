"""Packed sheets into one dense matrix: lines down, wanted cell codes across, without a Python step per cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
"""Counts as doubles: exact below 2**53, far above MAX_COUNT times any number of lines, and fast to add."""
Indexes = NDArray[np.int64]
_CODES = 1 << 16
_BLOCK = 128
"""Sheets unpacked together: enough to make a Python step per block cheap, few enough to stay in the processor's cache."""


class Codes:
    """The cell codes a question wants, and the column each has in the matrix."""

    def __init__(self, codes: Iterable[int]) -> None:
        self.codes = tuple(sorted(set(codes)))
        self._place = {code: place for place, code in enumerate(self.codes)}

    def __len__(self) -> int:
        return len(self.codes)

    def places(self, codes: Iterable[int]) -> Indexes:
        """Columns of `codes`, all of which must be wanted."""
        return np.array([self._place[code] for code in codes], np.int64)

    @cached_property
    def lookup(self) -> NDArray[np.int32]:
        """For each of the 65,536 codes its column, or -1."""
        lookup = np.full(_CODES, -1, np.int32)
        lookup[list(self.codes)] = np.arange(len(self.codes), dtype=np.int32)
        return lookup


def dense(packed: Sequence[bytes], codes: Codes) -> Counts:
    """Counts of the wanted codes, one row per packed sheet (contracts.packed); absent cells are 0."""
    matrix = np.zeros((len(packed), len(codes)))
    by_width: dict[int, list[int]] = {}
    for row, sheet in enumerate(packed):
        if sheet:
            by_width.setdefault(sheet[0], []).append(row)
    for width, rows in by_width.items():
        for begin in range(0, len(rows), _BLOCK):
            _scatter(matrix, packed, rows[begin : begin + _BLOCK], width, codes)
    return matrix


def _scatter(matrix: Counts, packed: Sequence[bytes], rows: Sequence[int], width: int, codes: Codes) -> None:
    """Write the wanted cells of the sheets whose counts take `width` bytes into their rows, all at once."""
    sheets = [packed[row] for row in rows]
    lengths = [(len(sheet) - 1) // (2 + width) for sheet in sheets]
    pairs = list(zip(sheets, lengths, strict=True))
    found = np.frombuffer(b"".join([sheet[1 : 1 + 2 * length] for sheet, length in pairs]), "<u2")
    counts = np.frombuffer(b"".join([sheet[1 + 2 * length :] for sheet, length in pairs]), f"<u{width}")
    columns = codes.lookup[found]
    kept = np.flatnonzero(columns >= 0)
    matrix[np.repeat(rows, lengths)[kept], columns[kept]] = counts[kept]
