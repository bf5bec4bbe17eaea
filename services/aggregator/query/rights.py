"""Rights of one reader over one column: what is not communicated to them, and before when nothing exists. Pure.

Deny by default, in this order: the establishment (a scope lists only those under a convention in force, and nothing else is
ever read), the widget, the indicator's audience, its first year.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contracts.catalogue import CATALOGUE, Column
from contracts.scope import ALWAYS_GRANTED
from services.aggregator.query.lines import Roll
from services.aggregator.query.states import Flags


@dataclass(frozen=True)
class Verdict:
    """`denied`: lines on which the column is not communicated; `too_early`, `incomplete`: by the indicator's first years."""

    denied: Flags
    too_early: bool
    incomplete: bool


def judge(column: Column, roll: Roll, school_year: int) -> Verdict:
    """What the reader of `roll` may see of `column` in a school year.

    The range of an indicator says since when it has all its components; that of a reference table, only that its members
    began in different years: of a column that details the table itself, nothing is missing.
    """
    indicator = CATALOGUE.indicators[column.indicator]
    ranges = indicator.kind == "indicator"
    return Verdict(
        denied=denied(column, roll),
        too_early=school_year < indicator.available_since,
        incomplete=ranges and indicator.available_since <= school_year < indicator.complete_since,
    )


def denied(column: Column, roll: Roll) -> Flags:
    """Lines on which `column` is not communicated to the reader of `roll`, whatever the year."""
    audience = CATALOGUE.indicators[column.indicator].audience
    return ~(_has_widget(roll, column.widget) & _in_audience(roll, audience))


def _has_widget(roll: Roll, widget: str) -> Flags:
    if widget in ALWAYS_GRANTED:
        return np.ones(len(roll), np.bool_)
    return np.array([widget in line.visible.widgets for line in roll.lines], np.bool_)


def _in_audience(roll: Roll, audience: tuple[str, ...]) -> Flags:
    """Indicators of establishments alone go to their own accounts, and to an authority that is joint controller for them."""
    return np.ones(len(roll), np.bool_) if "authority" in audience else roll.exact
