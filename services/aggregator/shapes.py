"""Whether reports are shaped as the catalogue says: all of a flush at once, one that is not to name its fault."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np

from contracts.usage_reported import MAX_COUNT, MalformedMessageError, Report, validate
from services.aggregator.cells import Ints
from services.aggregator.reports import Bools
from services.aggregator.sheet import FAMILY_OF_CODE

_CODE_LIMIT = 1 << 16
_FAMILY_NAME = re.compile(r"[a-z0-9._-]{1,64}", re.ASCII)


def misshapen(codes: Ints, counts: Ints, sizes: Ints, families: Ints) -> Bools:
    """Which reports have cells that are unsorted, repeated, of another family, or counts out of range: `validate`, all at once."""
    reports = np.repeat(np.arange(len(sizes)), sizes)
    wrong = (counts < 0) | (counts > MAX_COUNT) | (codes < 0) | (codes >= _CODE_LIMIT)
    wrong |= FAMILY_OF_CODE[np.clip(codes, 0, _CODE_LIMIT - 1)] != families[reports]
    wrong[1:] |= (codes[1:] <= codes[:-1]) & (reports[1:] == reports[:-1])
    return np.bincount(reports[wrong], minlength=len(sizes)) > 0


def fault_of(report: Report) -> tuple[str, str]:
    """The name of what `validate` finds wrong."""
    try:
        validate(report)
    except MalformedMessageError as error:
        return error.code, str(error)
    return "malformed", "its cells are not as the catalogue says"


def check_cells(report: Report) -> None:
    """What can be checked of a report whose catalogue we do not know yet; MalformedMessageError names the fault."""
    cells, counts = report.cells, report.counts
    if not _FAMILY_NAME.fullmatch(report.family):
        raise MalformedMessageError("unknown_family", "a family's name has other letters")
    if len(cells) != len(counts):
        raise MalformedMessageError("lengths_differ", f"{len(cells)} cells, {len(counts)} counts")
    if any(left >= right for left, right in pairwise(cells)):
        raise MalformedMessageError("cells_not_ascending", "cells are not sorted and distinct")
    if cells and not (cells[0] >= 0 and cells[-1] < _CODE_LIMIT):
        raise MalformedMessageError("cell_not_in_family", "a cell code is out of range")
    if counts and not (min(counts) >= 0 and max(counts) <= MAX_COUNT):
        raise MalformedMessageError("bad_count", "a count is negative or beyond measure")
