"""A column beside the same one a school year before, and by how much it changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import numpy as np

from contracts.answers import AnswerColumn
from services.aggregator.query.figures import Figures, Total, total
from services.aggregator.query.shown import Shown
from services.aggregator.query.states import WHOLE, States, has_value


def compared(now: Shown, before: Shown) -> Iterator[Shown]:
    """The column, then `<id>.previous` and `<id>.difference`."""
    yield now
    label = now.head.label
    yield replace(before, head=_named(now, "previous", f"{label} {before.school_year}-{before.school_year + 1}"))
    yield _difference(_named(now, "difference", f"{label}, écart"), now, before)


def _named(shown: Shown, suffix: str, label: str) -> AnswerColumn:
    return msgspec.structs.replace(shown.head, id=f"{shown.head.id}.{suffix}", label=label)


def _difference(head: AnswerColumn, shown: Shown, shown_before: Shown) -> Shown:
    """What changed on lines where both years have a number; the total is that of these lines, rates made last."""
    now, before = shown.figures, shown_before.figures
    state = _both(now.state, before.state)
    change = np.where(has_value(state), now.value - before.value, 0.0)
    figures = Figures(
        state=state,
        numerator=change,
        denominator=None if now.denominator is None else np.ones(len(state)),
        observed=now.observed + before.observed,
        elapsed=now.elapsed + before.elapsed,
    )
    return Shown(head, figures, _total(figures, now, before), shown.school_year)


def _total(figures: Figures, now: Figures, before: Figures) -> Total:
    kept = has_value(figures.state)
    sums = [total(replace(each, state=np.where(kept, each.state, figures.state))) for each in (now, before)]
    return replace(total(figures), value=sums[0].value - sums[1].value)


def _both(one: States, other: States) -> States:
    """The first state that applies to either."""
    both: States = np.where(one == WHOLE, other, np.where(other == WHOLE, one, np.minimum(one, other)))
    return both
