"""The hot path against the rule: whole flushes in a few sorts give, to the byte, what one report at a time gives."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.packed import pack as pack_cells
from services.aggregator import bundle
from services.aggregator.flush import Bundle, Stored, flush
from services.aggregator.merge import merge
from services.aggregator.periods import Periods
from services.aggregator.reports import NO_REPORTS, Period, families_of
from services.aggregator.states import Key, State, as_columns, as_states
from services.aggregator.states import merge as merge_plainly

UAIS = ("0750001A", "0750002B")
COUNTS = st.one_of(st.integers(0, 3), st.sampled_from([255, 256, 65_535, 65_536, 2**28 - 1, 2**28, 2**32, 2**40]))
HOURS = [1_774_000_800, 1_774_000_800 + 1800, 1_774_000_800 + 3600, 1_774_000_800 + 86_400]


@st.composite
def arrival(draw: st.DrawFn) -> tuple[Key, State]:
    grain = draw(st.sampled_from([0, 0, 1, 2]))
    start = draw(st.sampled_from(HOURS if grain == 0 else [739_000, 739_031]))
    agent = draw(st.sampled_from([1, 2, 70_000]))
    cells = draw(st.dictionaries(st.integers(0, 65_535) | st.integers(0, 3), COUNTS, max_size=4))
    state = State(
        draw(st.sampled_from([0, 0, 0, 5, 2**39])),
        draw(st.booleans()),
        draw(st.sampled_from([1, 2, 10**12, 2**33])),
        pack_cells(sorted(cells), [cells[code] for code in sorted(cells)]),
    )
    return Key(draw(st.sampled_from(UAIS)), draw(st.integers(0, 3)), grain, start, agent), state


def _merged(stored: list[tuple[Key, State]], arrivals: list[tuple[Key, State]]):
    """Both by the hot path: states, those that changed, and which arrivals were void."""
    periods, columns = as_columns([*stored, *arrivals])
    known = np.arange(columns.n) < len(stored)
    found = merge(columns.where(known), columns.where(~known))
    states = list(as_states(periods, found.reports))
    changed = {key for (key, _), differs in zip(states, found.changed.tolist(), strict=True) if differs}
    void = [key for (key, _), older in zip(arrivals, found.lower.tolist(), strict=True) if older]
    return dict(states), changed, void


@given(st.lists(arrival(), max_size=12), st.lists(arrival(), max_size=20))
def test_a_flush_is_the_rule_applied_to_each_report(before: list[tuple[Key, State]], arrivals: list[tuple[Key, State]]):
    stored = merge_plainly({}, before).states
    expected = merge_plainly(stored, arrivals)
    states, changed, void = _merged(list(stored.items()), arrivals)
    assert states == {**stored, **expected.states}
    assert changed == expected.states.keys()
    assert void == expected.lower


@given(st.lists(arrival(), max_size=20), st.randoms(use_true_random=False), st.integers(1, 6))
def test_any_order_any_repetition_any_cut_gives_the_same_bytes(arrivals, rng: random.Random, size: int):
    shuffled = arrivals + rng.sample(arrivals, len(arrivals) // 2)
    rng.shuffle(shuffled)
    parts = [shuffled[first : first + size] for first in range(0, len(shuffled), size)]
    assert _bundles(parts) == _bundles([arrivals])


def _bundles(flushes: list[list[tuple[Key, State]]]) -> dict[Period, Bundle]:
    """The rows that a database would hold of hours and of censuses' and other families' days after these flushes."""
    kept: dict[Period, Bundle] = {}
    for arrivals in flushes:
        own, reports = as_columns(arrivals)
        periods = Periods()
        arrived = reports.moved(periods.add(own))
        stored = Stored({n: kept[p].reports for n, p in enumerate(periods.known) if p in kept}, {})
        kept.update(flush(periods, arrived, stored).bundles)
    return kept


@given(st.lists(arrival(), max_size=20))
def test_bundles_are_read_back_as_they_were_written(arrivals: list[tuple[Key, State]]):
    periods, columns = as_columns(list(merge_plainly({}, arrivals).states.items()))
    reports = merge(NO_REPORTS, columns).reports
    packed = bundle.pack(reports, len(periods))
    again = bundle.unpack(range(len(periods)), packed)
    assert sorted(as_states(periods, again)) == sorted(as_states(periods, reports))
    assert bundle.pack(merge(NO_REPORTS, again).reports, len(periods)) == packed


@pytest.mark.parametrize(
    ("agent", "restatement", "layout", "size"), [(1, 0, 0, 11), (65_535, 0, 0, 11), (65_536, 0, 1, 25), (1, 7, 1, 25)]
)
def test_a_bundle_is_as_narrow_as_its_reports_allow(agent: int, restatement: int, layout: int, size: int):
    key = Key(UAIS[0], 3, 1, 739_000, agent)
    periods, columns = as_columns([(key, State(restatement, cut=True, as_of=5, cells=pack_cells([1, 2], [3, 256])))])
    (packed,) = bundle.pack(columns, 1)
    assert (packed[0], packed[1], len(packed)) == (layout, 2, 14 + size + 2 * (2 + 2))
    assert families_of(columns, 1) == [1 << 3]
    assert list(as_states(periods, bundle.unpack([0], [packed]))) == list(as_states(periods, columns))
