"""Sorted cell codes and their counts in one byte string: what a report or a sheet is on disk.

One byte gives the width w of a count (1, 2, 4 or 8), then n little-endian 16-bit codes in ascending order, then n little-endian
unsigned counts of w bytes: n = (length - 1) / (2 + w). No code: empty bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_WIDTHS = ((0xFF, 1), (0xFFFF, 2), (0xFFFF_FFFF, 4))


def pack(codes: ArrayLike, counts: ArrayLike) -> bytes:
    """Pack codes (ascending, distinct, below 65,536) and counts (non-negative) of the same length n."""
    values = np.asarray(counts, dtype=np.int64)
    if not values.size:
        return b""
    greatest = int(values.max())
    width = next((width for limit, width in _WIDTHS if greatest <= limit), 8)
    return bytes((width,)) + np.asarray(codes, dtype="<u2").tobytes() + values.astype(f"<u{width}").tobytes()


def unpack(packed: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes and counts, each of length n, as int64."""
    if not packed:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    width = packed[0]
    n = (len(packed) - 1) // (2 + width)
    codes = np.frombuffer(packed, "<u2", n, 1)
    counts = np.frombuffer(packed, f"<u{width}", n, 1 + 2 * n)
    return codes.astype(np.int64), counts.astype(np.int64)
