"""Figures as the cells of an answer: rounded here and nowhere before."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import numpy as np

from contracts.answers import AnswerCell
from contracts.catalogue import Unit
from services.aggregator.query.figures import Figures, Total
from services.aggregator.query.states import NAMES, PARTIAL, has_value

DECIMALS = 6
"""Of rates, ratios and shares; an exact fraction would say more than a screen can show."""


def cells(figures: Figures) -> Iterator[AnswerCell]:
    """One cell per line, in the lines' order."""
    values = rounded(figures)
    if not figures.state.any():
        return map(AnswerCell, values)
    return map(AnswerCell, values, map(NAMES.__getitem__, figures.state.tolist()), shares(figures))


def total_cell(total: Total, *, unit: Unit) -> AnswerCell:
    """The cell of the totals line."""
    left_out = total.left_out or None
    if math.isnan(total.value):
        return AnswerCell(None, NAMES[total.state], left_out=left_out)
    value = round(total.value) if unit == "count" else round(total.value, DECIMALS)
    return AnswerCell(value, NAMES[total.state], _share(total.state, total.share), left_out)


def rounded(figures: Figures) -> list[float | int | None]:
    """The number of each line's cell; None where its state has none."""
    shown = has_value(figures.state)
    told = np.where(shown, figures.value, 0.0)
    exact = told.astype(np.int64) if figures.denominator is None else told.round(DECIMALS)
    values = cast("list[float | int | None]", exact.tolist())
    for place in np.flatnonzero(~shown).tolist():
        values[place] = None
    return values


def shares(figures: Figures) -> list[float | None]:
    """Of partial lines; many lines miss the same minutes, and each distinct share is rounded once."""
    of_lines = np.where(figures.state == PARTIAL, figures.share, np.nan).tolist()
    distinct = {share: round(share, DECIMALS) for share in set(of_lines) if not math.isnan(share)}
    return list(map(distinct.get, of_lines))


def _share(state: int, share: float) -> float | None:
    return round(share, DECIMALS) if state == PARTIAL and not math.isnan(share) else None
