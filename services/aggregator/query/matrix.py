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
    if not any(packed):
        return matrix
    sizes = np.fromiter(map(len, packed), np.int64, len(packed))
    buffer = np.frombuffer(b"".join(packed), np.uint8)
    offsets = np.cumsum(sizes) - sizes
    filled = np.flatnonzero(sizes)
    widths = np.zeros(len(packed), np.int64)
    widths[filled] = buffer[offsets[filled]]
    lengths = np.where(sizes > 0, (sizes - 1) // (2 + widths), 0)
    columns = codes.lookup[_codes_of(packed, lengths)]
    kept = np.flatnonzero(columns >= 0)
    ends = np.cumsum(lengths)
    rows = np.searchsorted(ends, kept, side="right")
    places = kept - (ends - lengths)[rows]
    starts = offsets[rows] + 1 + 2 * lengths[rows] + places * widths[rows]
    matrix[rows, columns[kept]] = _counts_at(buffer, starts, widths[rows])
    return matrix


def _codes_of(packed: Sequence[bytes], lengths: Indexes) -> NDArray[np.uint16]:
    pieces = [sheet[1 : 1 + 2 * length] for sheet, length in zip(packed, lengths.tolist(), strict=True)]
    return np.frombuffer(b"".join(pieces), "<u2")


def _counts_at(buffer: NDArray[np.uint8], starts: Indexes, widths: Indexes) -> Counts:
    """Little-endian unsigned counts of `widths` bytes at `starts`."""
    counts = np.zeros(len(starts))
    for byte in range(int(widths.max(initial=0))):
        has = np.flatnonzero(widths > byte)
        counts[has] += buffer[starts[has] + byte] * float(1 << 8 * byte)
    return counts
