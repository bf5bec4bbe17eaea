"""Quix Streams doing the same, with its own state and its own PostgreSQL sink: `FORM BOOTSTRAP TOPIC MESSAGES URL STATE`.

FORM is `sheets`, the best we could make of it (packed states and sheets, folded by difference, one row a sheet, what we do
ourselves), or `cells`, as its documentation leads one to write it (a stream of cells, each with its last state and its windows).
Neither checks signatures, grants or cells, and neither knows restatements, cuts or several agents.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from quixstreams import Application, State
from quixstreams.sinks.community.postgresql import PostgreSQLSink

from bench.peers.told import tell
from contracts.packed import pack, unpack
from contracts.usage_reported import Report, UsageReported, decode

COMMIT_EVERY = 4000
"""Messages of a checkpoint: as many as our own flush."""
FOLDED = ("web", "software", "activities", "observed")
Row = dict[str, Any]
Ints = NDArray[np.int64]


class Counting:
    """Decodes, and remembers how much it saw and since when."""

    def __init__(self) -> None:
        self.reports = self.facts = 0
        self.started = 0.0

    def __call__(self, value: bytes) -> UsageReported:
        self.started = self.started or time.perf_counter()
        message = decode(value)
        self.reports += len(message.reports)
        self.facts += sum(len(report.cells) for report in message.reports)
        return message


def windows(report: Report) -> list[tuple[str, str]]:
    """Grain and start of what a day reaches: itself, its month, its school year."""
    if report.grain != "day" or not report.family.startswith(FOLDED):
        return [(report.grain, report.start)]
    day = date.fromisoformat(report.start)
    year = day.year if day.month >= 9 else day.year - 1  # noqa: PLR2004 - September
    return [("day", report.start), ("month", f"{day:%Y-%m}-01"), ("school_year", f"{year}-09-01")]


def sheets(message: UsageReported, state: State) -> list[Row]:
    """Merge each report into its last state; what all gained is added to each sheet they reach, once a message."""
    gains: dict[tuple[str, str], list[tuple[list[int], Ints]]] = {}
    for report in message.reports:
        gained = _merged(state, f"{report.family} {report.grain} {report.start}", report)
        if gained is not None:
            for window in windows(report):
                gains.setdefault(window, []).append((report.cells, gained))
    return [
        {"uai": message.uai, "grain": grain, "start": start, "cells": _added(state, f"{grain} {start}", parts)}
        for (grain, start), parts in gains.items()
    ]


def _merged(state: State, key: str, report: Report) -> Ints | None:
    """By how much each count grew; None where nothing did."""
    known = _known(state.get_bytes(key), report.cells)
    gained: Ints = np.maximum(np.array(report.counts, np.int64) - known, 0)
    if not gained.any():
        return None
    state.set_bytes(key, pack(report.cells, known + gained))
    return gained


def _known(packed: bytes | None, cells: list[int]) -> Ints:
    if not packed:
        return np.zeros(len(cells), np.int64)
    codes, counts = unpack(packed)
    if len(codes) == len(cells):
        return counts  # the cells of a report are those of its last state, nearly always
    held = dict(zip(codes.tolist(), counts.tolist(), strict=True))
    return np.array([held.get(cell, 0) for cell in cells], np.int64)


def _added(state: State, key: str, parts: list[tuple[list[int], Ints]]) -> bytes:
    """The sheet with what its parts gained, kept and given."""
    codes, counts = unpack(state.get_bytes(key) or b"")
    new = np.concatenate([part for part, _ in parts])
    union = np.union1d(codes, new)
    total = np.zeros(len(union), np.int64)
    total[np.searchsorted(union, codes)] = counts
    np.add.at(total, np.searchsorted(union, new), np.concatenate([gained for _, gained in parts]))
    packed = pack(union, total)
    state.set_bytes(key, packed)
    return packed


def cells(message: UsageReported) -> Iterator[Row]:
    """One element a cell."""
    for report in message.reports:
        for code, count in zip(report.cells, report.counts, strict=True):
            for grain, start in windows(report):
                yield {
                    "uai": message.uai, "family": report.family, "grain": grain, "start": start, "code": code,
                    "own": report.start, "count": count,
                }  # fmt: skip


def last_state(cell: Row, state: State) -> Row:
    """The cell of one window: what it was, and what its own period gained since it was last heard of."""
    own = f"{cell['grain']} {cell['own']} {cell['code']}"
    window = f"= {cell['grain']} {cell['start']} {cell['code']}"
    gained = max(0, cell["count"] - state.get(own, 0))
    total = state.get(window, 0) + gained
    if gained:
        state.set(own, cell["count"])
        state.set(window, total)
    return {"uai": cell["uai"], "grain": cell["grain"], "start": cell["start"], "code": cell["code"], "count": total}


def main(form: str, bootstrap: str, topic_name: str, messages: int, url: str, folder: str) -> None:
    counting = Counting()
    application = Application(
        broker_address=bootstrap, consumer_group=f"quix-{form}-{topic_name}", auto_offset_reset="earliest",
        commit_every=COMMIT_EVERY, commit_interval=60, state_dir=folder, loglevel="WARNING",
        consumer_extra_config={"fetch.min.bytes": 100_000, "fetch.wait.max.ms": 50},
    )  # fmt: skip
    topic = application.topic(topic_name, value_deserializer="bytes", key_deserializer="str")
    stream = application.dataframe(topic).apply(counting)
    if form == "sheets":
        stream = stream.apply(sheets, stateful=True, expand=True)
    else:
        stream = stream.apply(cells, expand=True).apply(last_state, stateful=True)
    stream.sink(_sink(url, form))
    application.run(count=messages, timeout=60)
    tell(seconds=time.perf_counter() - counting.started, reports=counting.reports, facts=counting.facts)


def _sink(url: str, form: str) -> PostgreSQLSink:
    where = urlsplit(url)
    key = ["uai", "grain", "start"] + ([] if form == "sheets" else ["code"])
    return PostgreSQLSink(
        host=where.hostname, port=where.port, dbname=where.path.removeprefix("/"), user=where.username,
        password=where.password, schema_name="usage", table_name=f"quix_{form}", primary_key_columns=key,
        upsert_on_primary_key=True, include_metadata=False,
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5], sys.argv[6])
