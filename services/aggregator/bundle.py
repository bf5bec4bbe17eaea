"""All the reports of one period in one byte string: one row to read, lock, index and write instead of a dozen.

Little-endian. A head of 14 bytes: layout (0 narrow, 1 wide), width of a count (1, 2, 4 or 8), number of reports (4 bytes), newest
append time in ms (8). Then one record a report (`_NARROW`; `_WIDE` where a restatement or a great number asks for it), then the
16-bit codes of all, then their counts. A report of four cells takes 23 to 27 bytes, seldom more.
`usage.unbundle` reads the same in SQL.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.aggregator.cells import Ints, widths_of
from services.aggregator.reports import NO_REPORTS, Reports, join

_HEAD = struct.Struct("<BBIq")
_FIELDS = [("family", "u1"), ("quarter", "u1"), ("size", "<u2"), ("cut", "u1")]
_NARROW = np.dtype([*_FIELDS, ("agent", "<u2"), ("age", "<u4")])
_WIDE = np.dtype([*_FIELDS, ("agent", "<u4"), ("age", "<u8"), ("restatement", "<u8")])
"""`age`: ms between the report's append time and the newest of its bundle."""
_LAYOUTS = (_NARROW, _WIDE)


def pack(reports: Reports, n: int) -> list[bytes]:
    """The bundles of periods 0 to n - 1, each of which has a report; `reports` in order of their periods."""
    if not n:
        return []
    per_bundle = np.bincount(reports.periods, minlength=n)
    first = np.cumsum(per_bundle) - per_bundle
    newest = np.maximum.reduceat(reports.as_of, first)
    ages = newest[reports.periods] - reports.as_of
    great = (reports.restatements > 0) | (reports.agents >= 1 << 16) | (ages >= 1 << 32)
    layouts = np.maximum.reduceat(great.astype(np.int64), first)
    records = [
        _records(layout, reports, ages).tobytes() if (layouts == number).any() else b""
        for number, layout in enumerate(_LAYOUTS)
    ]
    cells = np.add.reduceat(reports.sizes, first)
    return _assembled(layouts, per_bundle, newest, records, cells, reports)


def _records(layout: np.dtype[Any], reports: Reports, ages: Ints) -> NDArray[Any]:
    records = np.empty(reports.n, layout)
    columns = {
        "family": reports.families, "quarter": reports.quarters, "agent": reports.agents, "cut": reports.cuts, "age": ages,
        "size": reports.sizes, "restatement": reports.restatements,
    }  # fmt: skip
    for name in layout.names or ():
        records[name] = columns[name]
    return records


def _assembled(
    layouts: Ints, per_bundle: Ints, newest: Ints, records: list[bytes], cells: Ints, reports: Reports
) -> list[bytes]:
    """Cut the records, codes and counts of all bundles into those of each."""
    widths = widths_of(reports.counts, cells)
    codes = reports.codes.astype("<u2").tobytes()
    counts = {w: reports.counts.astype(f"<u{w}").tobytes() for w in np.unique(widths).tolist()}
    sizes = [layout.itemsize for layout in _LAYOUTS]
    ends, cell_ends = np.cumsum(per_bundle), np.cumsum(cells)
    rows = (layouts, widths, ends - per_bundle, ends, newest, cell_ends - cells, cell_ends)
    return [
        b"".join(
            (
                _HEAD.pack(layout, width, last - first, as_of),
                records[layout][first * sizes[layout] : last * sizes[layout]],
                codes[2 * start : 2 * end],
                counts[width][width * start : width * end],
            )
        )
        for layout, width, first, last, as_of, start, end in zip(*(row.tolist() for row in rows), strict=True)
    ]


def unpack(periods: Sequence[int], bundles: Sequence[bytes]) -> Reports:
    """The reports of many bundles, those of `bundles[i]` in period `periods[i]`; grouped by layout, not in order."""
    alike: dict[bytes, tuple[list[int], list[bytes]]] = {}
    for period, bundle in zip(periods, bundles, strict=True):
        places, heap = alike.setdefault(bundle[:2], ([], []))
        places.append(period)
        heap.append(bundle)
    return join(*(_unpack_alike(*found) for found in alike.values())) if alike else NO_REPORTS


def _unpack_alike(periods: list[int], bundles: list[bytes]) -> Reports:
    layout, width = _LAYOUTS[bundles[0][0]], bundles[0][1]
    heads = [_HEAD.unpack_from(bundle) for bundle in bundles]
    per_bundle = [head[2] for head in heads]
    starts = [_HEAD.size + n * layout.itemsize for n in per_bundle]
    middles = [at + (len(bundle) - at) // (2 + width) * 2 for at, bundle in zip(starts, bundles, strict=True)]
    records = np.frombuffer(b"".join([b[_HEAD.size : at] for b, at in zip(bundles, starts, strict=True)]), layout)
    codes = b"".join([b[at:end] for b, at, end in zip(bundles, starts, middles, strict=True)])
    counts = b"".join([b[at:] for b, at in zip(bundles, middles, strict=True)])
    family, quarter, agent, size, age = (
        records[name].astype(np.int64) for name in ("family", "quarter", "agent", "size", "age")
    )
    restatements = records["restatement"].astype(np.int64) if layout is _WIDE else np.zeros(len(records), np.int64)
    newest = np.repeat(np.array([head[3] for head in heads], np.int64), per_bundle)
    return Reports(
        np.repeat(np.array(periods, np.int64), per_bundle),
        family,
        quarter,
        agent,
        restatements,
        records["cut"].astype(np.bool_),
        newest - age,
        size,
        np.frombuffer(codes, "<u2").astype(np.int64),
        np.frombuffer(counts, f"<u{width}").astype(np.int64),
    )
