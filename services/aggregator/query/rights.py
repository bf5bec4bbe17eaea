"""Rights of one reader over one column: what is not communicated to them, and before when nothing exists. Pure.

Deny by default, in this order: the establishment (a scope lists only those under a convention in force, and nothing else is
ever read), the widget, the indicator's audience, its first year.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contracts.catalogue import CATALOGUE, Column
from contracts.scope import VisibleEstablishment
from services.aggregator.query.lines import Roll
from services.aggregator.query.states import Flags

ALWAYS_GRANTED = frozenset({"accueil", "connexions"})
"""Pages that no right can withhold."""


@dataclass(frozen=True)
class Verdict:
    """`denied`: lines on which the column is not communicated; `too_early`, `incomplete`: by the indicator's first years."""

    denied: Flags
    too_early: bool
    incomplete: bool


def judge(column: Column, widget: str, roll: Roll, school_year: int) -> Verdict:
    """What the reader of `roll` may see of `column`, shown by the table or widget `widget`, in a school year."""
    indicator = CATALOGUE.indicators[column.indicator]
    for_authority = "authority" in indicator.audience
    granted = [_has_widget(line.visible, widget) and (for_authority or _sees_own(line.visible)) for line in roll.lines]
    return Verdict(
        denied=~np.array(granted, np.bool_),
        too_early=school_year < indicator.available_since,
        incomplete=indicator.available_since <= school_year < indicator.complete_since,
    )


def sees_exact(visible: VisibleEstablishment) -> bool:
    """Exact values of the Social menu: the establishment itself, and an authority that is joint controller for it."""
    return visible.own or visible.convention == "joint"


def _sees_own(visible: VisibleEstablishment) -> bool:
    """Indicators of establishments alone go to the same two readers."""
    return sees_exact(visible)


def _has_widget(visible: VisibleEstablishment, widget: str) -> bool:
    page = widget.partition(".")[0]
    return page in ALWAYS_GRANTED or widget in visible.widgets
