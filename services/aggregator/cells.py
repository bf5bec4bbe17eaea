"""Cells of many rows at once: unpacked into flat arrays, grouped, packed again. Pure; the arithmetic of `merge` and `sheet`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_CODE_BITS = 16
_COUNT_BITS = 28
_HALF = 1 << (_COUNT_BITS - 1)
"""Counts are signed while sums are made: half of their bits' range is on each side of 0."""
_ROW_LIMIT = 1 << (63 - _CODE_BITS - _COUNT_BITS)
_WIDTHS = np.array([1, 2, 4, 8], np.int64)
_LIMITS = np.array([1 << 8, 1 << 16, 1 << 32], np.int64)


class Cells(NamedTuple):
    """Parallel arrays: the row that each cell belongs to, its code, its count (signed while sums are made)."""

    rows: Ints
    codes: Ints
    counts: Ints

    def where(self, mask: NDArray[np.bool_]) -> Cells:
        """The cells under `mask`."""
        return Cells(self.rows[mask], self.codes[mask], self.counts[mask])

    def moved(self, places: Ints) -> Cells:
        """The same cells, row r becoming row places[r]."""
        return Cells(places[self.rows], self.codes, self.counts)

    def negative(self) -> Cells:
        return Cells(self.rows, self.codes, -self.counts)


def join(*heaps: Cells) -> Cells:
    """All the cells of several heaps, in no order."""
    if len(heaps) == 1:
        return heaps[0]
    return Cells(*(np.concatenate(columns) for columns in zip(*heaps, strict=True)))


_NONE = np.empty(0, np.int64)
NO_CELLS = Cells(_NONE, _NONE, _NONE)


def gather(rows: Sequence[int] | Ints, packed: Sequence[bytes]) -> Cells:
    """Unpack many rows; `rows[i]` is the row of `packed[i]`. Cells come grouped by width, not in order."""
    by_width: dict[int, tuple[list[int], list[bytes]]] = {}
    for row, cells in zip(rows, packed, strict=True):
        if cells:
            places, heap = by_width.setdefault(cells[0], ([], []))
            places.append(row)
            heap.append(cells)
    return join(*(_gather_width(width, *found) for width, found in by_width.items())) if by_width else NO_CELLS


def _gather_width(width: int, rows: list[int], packed: list[bytes]) -> Cells:
    sizes = [(len(cells) - 1) // (2 + width) for cells in packed]
    codes = b"".join([cells[1 : 1 + 2 * n] for cells, n in zip(packed, sizes, strict=True)])
    counts = b"".join([cells[1 + 2 * n :] for cells, n in zip(packed, sizes, strict=True)])
    return Cells(
        np.repeat(np.array(rows, np.int64), sizes),
        np.frombuffer(codes, "<u2").astype(np.int64),
        np.frombuffer(counts, f"<u{width}").astype(np.int64),
    )


def greatest(cells: Cells) -> Cells:
    """The greatest count of each (row, code), in order of row and code."""
    if _is_merged(cells):
        return cells
    keys, counts = _sorted(cells)
    last = np.append(keys[1:] != keys[:-1], True)
    return _keyed(keys[last], counts[last])


def total(cells: Cells) -> Cells:
    """The sum of the counts of each (row, code), in order of row and code; counts may be negative."""
    if _is_merged(cells):
        return cells
    keys, counts = _sorted(cells)
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    return _keyed(keys[starts], np.add.reduceat(counts, starts))


def _is_merged(cells: Cells) -> bool:
    """Whether each (row, code) is there once, in order: the common case, worth a look before sorting."""
    keys = (cells.rows << _CODE_BITS) | cells.codes
    return bool((keys[1:] > keys[:-1]).all())


def _sorted(cells: Cells) -> tuple[Ints, Ints]:
    """Row and code in one integer, and the counts, in order of both.

    Where they fit, all in one integer: three times faster than by indexes.
    """
    keys = (cells.rows << _CODE_BITS) | cells.codes
    if _fits(cells):
        whole = (keys << _COUNT_BITS) | (cells.counts + _HALF)
        whole.sort()
        return whole >> _COUNT_BITS, (whole & (2 * _HALF - 1)) - _HALF
    order = np.lexsort((cells.counts, keys))
    return keys[order], cells.counts[order]


def _fits(cells: Cells) -> bool:
    counts = cells.counts
    return int(counts.min()) >= -_HALF and int(counts.max()) < _HALF and int(cells.rows.max()) < _ROW_LIMIT


def _keyed(keys: Ints, counts: Ints) -> Cells:
    return Cells(keys >> _CODE_BITS, keys & ((1 << _CODE_BITS) - 1), counts)


def scatter(cells: Cells, n: int) -> list[bytes]:
    """Pack cells in order of row and code, distinct, into rows 0 to n - 1; a row without cells is empty bytes."""
    sizes = np.bincount(cells.rows, minlength=n)
    return pack_runs(cells.codes, cells.counts, sizes)


def pack_runs(codes: Ints, counts: Ints, sizes: Ints) -> list[bytes]:
    """Pack consecutive runs of `sizes[i]` cells each, as `contracts.packed.pack` would one by one."""
    ends = np.cumsum(sizes)
    widths = widths_of(counts, sizes)
    as_codes = codes.astype("<u2").tobytes()
    as_counts = {width: counts.astype(f"<u{width}").tobytes() for width in np.unique(widths).tolist()}
    return [
        b"%c%b%b" % (w, as_codes[2 * a : 2 * b], as_counts[w][w * a : w * b]) if b > a else b""
        for a, b, w in zip((ends - sizes).tolist(), ends.tolist(), widths.tolist(), strict=True)
    ]


def widths_of(counts: Ints, sizes: Ints) -> Ints:
    """Bytes of the narrowest integer (1, 2, 4 or 8) that holds every count of each of consecutive runs; 1 of an empty run."""
    widths = np.ones(len(sizes), np.int64)
    filled = np.flatnonzero(sizes)
    if filled.size:
        starts = (np.cumsum(sizes) - sizes)[filled]
        widths[filled] = _WIDTHS[np.searchsorted(_LIMITS, np.maximum.reduceat(counts, starts), "right")]
    return widths
