"""A flush merged by cell-wise maximum in a handful of sorts: idempotent, commutative, associative, so that any order agrees. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.aggregator.cells import Ints, greatest
from services.aggregator.reports import Bools, Reports, join

_RESTATEMENT_BITS = 40
"""Room for a restatement (admission refuses a greater one) below a report's number in one integer."""


class Merged(NamedTuple):
    """`reports`: one of each key, in order of period, family, quarter and agent; `changed`: which are not as they were stored.

    `lower`: which of the arrivals were older than a restatement known before them.
    """

    reports: Reports
    changed: Bools
    lower: Bools


def merge(stored: Reports, arrivals: Reports) -> Merged:
    """Merge `arrivals`, in the order in which they came, into `stored`, which holds a key once.

    A higher restatement replaces, a lower one is ignored; `as_of` grows with every arrival, even an ignored one: only so does
    it not depend on their order.
    """
    both = join(stored, arrivals)
    if not both.n:
        return Merged(both, both.cuts, both.cuts)
    order, first = _by_key(both)
    number = np.cumsum(first) - 1
    starts = np.flatnonzero(first)
    restatements = both.restatements[order]
    highest = np.maximum.reduceat(restatements, starts)
    stands = restatements == highest[number]
    reports = _combined(both, order, number, starts, stands)
    return Merged(
        reports._replace(restatements=highest),
        _changed(stored, reports._replace(restatements=highest), order[starts]),
        _older(restatements, number, order)[stored.n :],
    )


def _by_key(reports: Reports) -> tuple[Ints, Bools]:
    """The order that brings the reports of one key together, first come first, and where in it each key begins."""
    agents = np.unique(reports.agents, return_inverse=True)[1]
    keys = (((reports.periods << 6) | reports.families) << 7 | reports.quarters) << 24 | agents
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    return order, np.append(True, keys[1:] != keys[:-1])


def _combined(both: Reports, order: Ints, number: Ints, starts: Ints, stands: Bools) -> Reports:
    """One report of each key: cells of those that stand by maximum, cut flags of those by or, append times of all by maximum."""
    lead = order[starts]
    numbers, alive = np.empty_like(number), np.empty_like(stands)
    numbers[order], alive[order] = number, stands
    cells = greatest(both.cells(numbers).where(np.repeat(alive, both.sizes)))
    return Reports(
        both.periods[lead],
        both.families[lead],
        both.quarters[lead],
        both.agents[lead],
        both.restatements[lead],
        np.logical_or.reduceat(both.cuts[order] & stands, starts),
        np.maximum.reduceat(both.as_of[order], starts),
        np.bincount(cells.rows, minlength=len(starts)),
        cells.codes,
        cells.counts,
    )


def _changed(stored: Reports, merged: Reports, lead: Ints) -> Bools:
    """Which of the merged reports are new or not as they were.

    Within a restatement cells only grow, so the same number of cells and the same sum are the same cells.
    """
    known = lead < stored.n
    changed = ~known
    before = lead[known]
    old, sums = stored.sums()[before], merged.sums()[known]
    changed[known] = (
        (stored.restatements[before] != merged.restatements[known])
        | (stored.cuts[before] != merged.cuts[known])
        | (stored.as_of[before] != merged.as_of[known])
        | (stored.sizes[before] != merged.sizes[known])
        | (old != sums)
    )
    return changed


def _older(restatements: Ints, number: Ints, order: Ints) -> Bools:
    """Which reports came after a higher restatement of the same key."""
    highest = np.maximum.accumulate((number << _RESTATEMENT_BITS) | restatements) & ((1 << _RESTATEMENT_BITS) - 1)
    older = np.empty(len(order), np.bool_)
    older[order] = restatements < highest
    return older
