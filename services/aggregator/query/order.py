"""The order of lines and the extremes of columns, on unrounded visible values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from contracts.answers import Extremes
from services.aggregator.query.errors import UnknownColumnError
from services.aggregator.query.figures import Figures
from services.aggregator.query.french import CollationKey
from services.aggregator.query.lines import Roll
from services.aggregator.query.matrix import Counts, Indexes
from services.aggregator.query.states import ESTIMATED, WHOLE

ValuesOf = Callable[[str], Counts]
"""Unrounded values of a column by its id, NaN where there is none; KeyError for one that the table does not have."""


def order(roll: Roll, sort: str, values_of: ValuesOf) -> Indexes:
    """Places of the lines as `sort` wants them; `roll` is in the default order, which breaks ties in both directions."""
    reverse, by = sort.startswith("-"), sort.removeprefix("-")
    match by:
        case "name" if not reverse:
            return np.arange(len(roll))
        case "name":
            return _by_text([line.name_key[0] for line in roll.lines], reverse=True)
        case "uai":
            return _by_text(roll.uais, reverse=reverse)
    try:
        values = values_of(by)
    except KeyError:
        raise UnknownColumnError(f"{by!r}") from None
    return np.argsort(-values if reverse else values, kind="stable")


def _by_text(keys: Sequence[str] | Sequence[CollationKey], *, reverse: bool) -> Indexes:
    places = sorted(range(len(keys)), key=keys.__getitem__, reverse=reverse)
    return np.array(places, np.int64)


def extremes(figures: Figures, roll: Roll) -> Extremes:
    """All lines that hold the greatest and the smallest value; nobody where fewer than two values differ.

    Lines without a number, or with a partial one, do not compete.
    """
    places = np.flatnonzero((figures.state == WHOLE) | (figures.state == ESTIMATED))
    values = figures.value[places]
    if not values.size or values.min() == values.max():
        return Extremes(max=[], min=[])
    return Extremes(max=_holders(values, values.max(), places, roll), min=_holders(values, values.min(), places, roll))


def _holders(values: Counts, value: float, places: Indexes, roll: Roll) -> list[str]:
    return [roll.uais[place] for place in places[values == value].tolist()]
