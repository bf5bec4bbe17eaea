"""What is done for many lines at once gives, byte for byte, what one line after the other would give."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.answers import AnswerCell
from contracts.packed import pack, unpack
from services.aggregator.query import matrix
from services.aggregator.query.cells import cells
from services.aggregator.query.figures import Figures, Total, total, totals
from services.aggregator.query.lines import Line
from services.aggregator.query.matrix import Codes, dense
from services.aggregator.query.states import ESTIMATED, LEFT_OUT, NA, NAMES, PARTIAL, WHOLE
from services.aggregator.query.tables import rows
from services.aggregator.query.written import written_rows
from tests.services.aggregator.query.ledger import visible

SHOWN = (WHOLE, PARTIAL, ESTIMATED)
seeds = st.integers(0, 2**32 - 1)


def random_figures(seed: int, *, rate: bool) -> Figures:
    """Lines × columns in any states; where a state has no value there is no number."""
    rng = np.random.default_rng(seed)
    shape = int(rng.integers(0, 40)), 3
    state = rng.choice(rng.choice(7, int(rng.integers(1, 8))), shape).astype(np.int8)
    shown = np.isin(state, SHOWN)
    numerator = np.where(shown, rng.integers(0, 10_000, shape), 0).astype(float)
    denominator = np.where(shown, rng.integers(1, 10_000, shape), 0).astype(float) if rate else None
    elapsed = 60 * rng.integers(0, 800, shape).astype(np.float64)
    observed = np.minimum(elapsed, 37 * rng.integers(0, 1_300, shape)).astype(np.float64)
    return Figures(state, numerator, denominator, observed, elapsed)


def column(figures: Figures, place: int) -> Figures:
    bottom = None if figures.denominator is None else figures.denominator[:, place]
    top, observed, elapsed = (each[:, place] for each in (figures.numerator, figures.observed, figures.elapsed))
    return Figures(figures.state[:, place], top, bottom, observed, elapsed)


def plain_cells(figures: Figures) -> list[AnswerCell]:
    found = []
    values, shares = figures.value.tolist(), figures.share.tolist()
    for state, value, share in zip(figures.state.tolist(), values, shares, strict=True):
        if state not in SHOWN:
            found.append(AnswerCell(None, NAMES[state]))
            continue
        told = round(share, 6) if state == PARTIAL and not math.isnan(share) else None
        found.append(AnswerCell(int(value) if figures.denominator is None else round(value, 6), NAMES[state], told))
    return found


def plain_total(figures: Figures) -> Total:
    states = figures.state.tolist()
    shown = [place for place, state in enumerate(states) if state in SHOWN]
    left_out = sum(state in LEFT_OUT for state in states)
    if not shown:
        return Total(min(states, default=NA), math.nan, math.nan, left_out)
    value = sum(figures.numerator[shown].tolist())
    if figures.denominator is not None:
        value /= sum(figures.denominator[shown].tolist())
    elapsed = sum(figures.elapsed[shown].tolist())
    share = sum(figures.observed[shown].tolist()) / elapsed if elapsed else math.nan
    partial = left_out or PARTIAL in states
    return Total(PARTIAL if partial else ESTIMATED if ESTIMATED in states else WHOLE, value, share, left_out)


@given(seeds, st.booleans())
def test_cells(seed: int, rate: bool):
    figures = column(random_figures(seed, rate=rate), 0)
    assert msgspec.json.encode(list(cells(figures))) == msgspec.json.encode(plain_cells(figures))


@given(seeds, st.lists(st.booleans(), min_size=1, max_size=4))
def test_written_rows(seed: int, rates: list[bool]):
    """Those of a table, in any order, of any columns, with names that JSON has to escape."""
    columns = [column(random_figures(seed, rate=rate), number % 3) for number, rate in enumerate(rates)]
    size = len(columns[0].state)
    lines = [Line(visible(f"{n:07}A", name=f'"{n}\\\n é', postal_codes=("86000",) * (n % 3))) for n in range(size)]
    places = np.random.default_rng(seed).permutation(size).tolist()
    written, plain = (make(lines, places, columns) for make in (written_rows, rows))
    assert msgspec.json.encode(written) == msgspec.json.encode(plain)


@given(seeds, st.booleans())
def test_totals(seed: int, rate: bool):
    figures = random_figures(seed, rate=rate)
    expected = [plain_total(column(figures, place)) for place in range(3)]
    assert repr(totals(figures)) == repr(expected)
    assert repr([total(column(figures, place)) for place in range(3)]) == repr(expected)


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_more_sheets_than_are_unpacked_together(seed: int):
    rng = np.random.default_rng(seed)
    codes = Codes(range(0, 60, 2))
    packed = []
    for _ in range(3 * matrix._BLOCK):
        present = np.flatnonzero(rng.random(60) < rng.random())
        packed.append(pack(present, rng.integers(0, rng.choice([200, 60_000, 2**31, 2**40]), len(present))))
    expected = []
    for sheet in packed:
        known = dict(zip(*(part.tolist() for part in unpack(sheet)), strict=True))
        expected.append([float(known.get(code, 0)) for code in codes.codes])
    assert dense(packed, codes).tolist() == expected
