"""Reports merged by cell-wise maximum: idempotent, commutative, associative, so that any order and any repetition agree. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, NamedTuple, TypeVar

from services.aggregator.cells import gather, greatest, scatter


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
    """Merge `arrivals` into `stored` (which is left alone); a higher restatement replaces, a lower one is ignored.

    `as_of` grows with every arrival, even an ignored one: only so does it not depend on their order.
    """
    heaps, newest, lower = _sort_out(stored, arrivals)
    states: dict[AnyKey, State] = {}
    several: list[AnyKey] = []
    for key, heap in heaps.items():
        if len(heap) == 1:
            states[key] = heap[0] if heap[0].as_of == newest[key] else heap[0]._replace(as_of=newest[key])
        else:
            several.append(key)
    for key, cells in zip(several, _combine([{state.cells for state in heaps[key]} for key in several]), strict=True):
        heap = heaps[key]
        states[key] = State(heap[0].restatement, any(state.cut for state in heap), newest[key], cells)
    return Merged({key: state for key, state in states.items() if stored.get(key) != state}, lower)


def _sort_out(
    stored: Mapping[AnyKey, State], arrivals: Iterable[tuple[AnyKey, State]]
) -> tuple[dict[AnyKey, list[State]], dict[AnyKey, int], list[AnyKey]]:
    """The states of the highest restatement of each key, the newest append time of each, and the keys of ignored arrivals."""
    heaps: dict[AnyKey, list[State]] = {}
    newest: dict[AnyKey, int] = {}
    lower: list[AnyKey] = []
    for key, state in arrivals:
        heap = heaps.get(key)
        if heap is None:
            known = stored.get(key)
            heaps[key] = heap = [] if known is None else [known]
            newest[key] = state.as_of if known is None else known.as_of
        newest[key] = max(newest[key], state.as_of)
        if not heap or state.restatement == heap[0].restatement:
            heap.append(state)
        elif state.restatement > heap[0].restatement:
            heaps[key] = [state]
        else:
            lower.append(key)
    return heaps, newest, lower


def _combine(heaps: list[set[bytes]]) -> list[bytes]:
    """The cell-wise maximum of each heap; the many heaps of one need no arithmetic."""
    packed = [next(iter(heap)) if len(heap) == 1 else b"" for heap in heaps]
    several = [row for row, heap in enumerate(heaps) if len(heap) > 1]
    if several:
        rows = [place for place, row in enumerate(several) for _ in heaps[row]]
        cells = greatest(gather(rows, [cells for row in several for cells in heaps[row]]))
        for row, merged in zip(several, scatter(cells, len(several)), strict=True):
            packed[row] = merged
    return packed
