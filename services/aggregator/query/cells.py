"""Figures as the cells of an answer: rounded here and nowhere before."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from contracts.answers import AnswerCell
from services.aggregator.query.figures import Figures, Total
from services.aggregator.query.states import NAMES, PARTIAL, WHOLE, has_value

DECIMALS = 6
"""Of rates and shares; an exact fraction would say more than a screen can show."""
_WITHOUT_VALUE = [AnswerCell(None, state) for state in NAMES]


def cells(figures: Figures) -> Iterator[AnswerCell]:
    """One cell per line, in the lines' order."""
    values = _rounded(figures)
    if not figures.state.any():
        return map(AnswerCell, values)
    shares = figures.share.tolist()
    return (
        _cell(value, state, share) for value, state, share in zip(values, figures.state.tolist(), shares, strict=True)
    )


def total_cell(total: Total, *, rate: bool) -> AnswerCell:
    """The cell of the totals line."""
    left_out = total.left_out or None
    if math.isnan(total.value):
        return AnswerCell(None, NAMES[total.state], left_out=left_out)
    value = round(total.value, DECIMALS) if rate else round(total.value)
    return AnswerCell(value, NAMES[total.state], _share(total.state, total.share), left_out)


def _rounded(figures: Figures) -> list[float] | list[int]:
    shown = np.where(has_value(figures.state), figures.value, 0.0)
    if figures.denominator is None:
        counts: list[int] = shown.astype(np.int64).tolist()
        return counts
    rates: list[float] = shown.round(DECIMALS).tolist()
    return rates


def _cell(value: float, state: int, share: float) -> AnswerCell:
    if state == WHOLE:
        return AnswerCell(value)
    if state < PARTIAL:
        return _WITHOUT_VALUE[state]
    return AnswerCell(value, NAMES[state], _share(state, share))


def _share(state: int, share: float) -> float | None:
    return round(share, DECIMALS) if state == PARTIAL and not math.isnan(share) else None
