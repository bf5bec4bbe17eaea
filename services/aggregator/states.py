"""One report's state, and two of them merged by cell-wise maximum: the rule itself, one at a time. Pure.

Parked reports are merged so; the millions go through `merge`, which must agree with this to the byte.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from contracts.packed import pack, unpack
from services.aggregator.cells import gather, pack_runs
from services.aggregator.periods import HOUR
from services.aggregator.reports import Period, Reports


class Key(NamedTuple):
    """What one report stands for. `start`: proleptic ordinal of a local date, or UTC seconds for an hour; `agent`: its number."""

    uai: str
    family: int
    grain: int
    start: int
    agent: int


class State(NamedTuple):
    """Where a report stands. `as_of`: newest Kafka append time seen for its key, ms; `cells`: packed."""

    restatement: int
    cut: bool
    as_of: int
    cells: bytes


AnyKey = TypeVar("AnyKey", bound=Hashable)


class Merged(NamedTuple, Generic[AnyKey]):
    """The keys whose state changed, and those of arrivals that a higher restatement made void."""

    states: dict[AnyKey, State]
    lower: list[AnyKey]


def merge(stored: Mapping[AnyKey, State], arrivals: Iterable[tuple[AnyKey, State]]) -> Merged[AnyKey]:
    """Merge `arrivals` into `stored` (which is left alone), one after the other."""
    states: dict[AnyKey, State] = {}
    lower: list[AnyKey] = []
    for key, state in arrivals:
        known = states.get(key) or stored.get(key)
        if known and state.restatement < known.restatement:
            lower.append(key)
        states[key] = combined(known, state) if known else state
    return Merged({key: state for key, state in states.items() if stored.get(key) != state}, lower)


def combined(one: State, other: State) -> State:
    """The maximum of two states of one report; a higher restatement replaces, a lower one is ignored.

    `as_of` grows even with an ignored state: only so does it not depend on their order.
    """
    newest = max(one.as_of, other.as_of)
    if one.restatement != other.restatement:
        return max(one, other, key=lambda state: state.restatement)._replace(as_of=newest)
    return State(one.restatement, one.cut or other.cut, newest, _greatest(one.cells, other.cells))


def _greatest(one: bytes, other: bytes) -> bytes:
    cells: dict[int, int] = {}
    for packed in (one, other):
        codes, counts = unpack(packed)
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
            cells[code] = max(count, cells.get(code, 0))
    codes_in_order = sorted(cells)
    return pack(codes_in_order, [cells[code] for code in codes_in_order])


_DAY_S, _QUARTER_S = 86_400, 900
_EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC).toordinal()


def period_of(key: Key) -> Period:
    """The period in whose bundle a report is: its own, or the UTC day of an hour."""
    start = _EPOCH_DAY + key.start // _DAY_S if key.grain == HOUR else key.start
    return Period(key.uai, key.grain, start)


def as_columns(states: Sequence[tuple[Key, State]]) -> tuple[list[Period], Reports]:
    """States as columns, in their order, and the periods that their `periods` number."""
    numbers = {period: number for number, period in enumerate(sorted({period_of(key) for key, _ in states}))}
    cells = [gather([0], [state.cells]) for _, state in states]
    rows = [
        (numbers[period_of(key)], key.family, key.start % _DAY_S // _QUARTER_S if key.grain == HOUR else 0, key.agent,
         state.restatement, state.cut, state.as_of, some.rows.size)
        for (key, state), some in zip(states, cells, strict=True)
    ]  # fmt: skip
    table = np.array(rows, np.int64).reshape(-1, 8)
    columns = [np.ascontiguousarray(column) for column in table.T]
    columns[5] = columns[5].astype(np.bool_)
    codes, counts = (
        np.concatenate([np.empty(0, np.int64), *parts])
        for parts in ([c.codes for c in cells], [c.counts for c in cells])
    )
    return list(numbers), Reports._make((*columns, codes, counts))


def as_states(periods: Sequence[Period], reports: Reports) -> Iterator[tuple[Key, State]]:
    """The reverse, report by report, in their order."""
    packed = pack_runs(reports.codes, reports.counts, reports.sizes)
    columns = (column.tolist() for column in reports[:7])
    for number, family, quarter, agent, restatement, cut, as_of, cells in zip(*columns, packed, strict=True):
        uai, grain, start = periods[number]
        if grain == HOUR:
            start = (start - _EPOCH_DAY) * _DAY_S + quarter * _QUARTER_S
        yield Key(uai, family, grain, start, agent), State(restatement, cut, as_of, cells)
