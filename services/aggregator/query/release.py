"""Release: what may be shared of an establishment's numbers under its convention, the same for every reader. Pure.

Social menu, unless values may be exact: 0 stays 0, what is below the threshold is hidden, the rest goes to the nearest 5. It
is done to sums, before any rate, total, extreme or order is made of them: none of these can then tell a hidden number.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from contracts.catalogue import Column
from services.aggregator.query.states import Flags
from services.aggregator.query.sums import Sums

STEP = 5
"""Released numbers of the Social menu are multiples of this."""
SOCIAL = "social."
"""How the widgets of that menu begin."""
NOTE = "arrondi à 5"


def is_rounded(column: Column) -> bool:
    """Only the Social menu rounds."""
    return column.widget.startswith(SOCIAL)


def release(sums: Sums, *, exact: Flags, threshold: int) -> Sums:
    """The sums of a column of the Social menu as they may leave."""
    rounded = np.floor((sums.value + STEP / 2) / STEP) * STEP
    below = ~exact & (sums.value > 0) & (sums.value < threshold)
    value = np.where(exact, sums.value, np.where(below, 0.0, rounded))
    return replace(sums, value=value, hidden=sums.hidden | below)
