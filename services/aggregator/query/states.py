"""What a cell says beside its number, and which of several reasons is said (rules.md 8)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.answers import State

Flags = NDArray[np.bool_]
States = NDArray[np.int8]

WHOLE, NC, ND, S, NA, PARTIAL, ESTIMATED = range(7)
"""Numbers of the states in the order in which the first that applies is shown; WHOLE says nothing."""
NAMES: Final[tuple[State | None, ...]] = (None, "nc", "nd", "s", "na", "partial", "estimated")
LEFT_OUT = (NC, ND, S)
"""Lines that a total lacks. What is without object (`na`) is missed by nobody."""


def first_that_applies(*reasons: Flags) -> States:
    """State of each line from one flag array per state, in the order of the numbers (six of them)."""
    state = np.zeros(reasons[0].shape, np.int8)
    for number in range(len(reasons), 0, -1):
        state[reasons[number - 1]] = number
    return state


def has_value(states: States) -> Flags:
    """Where there is a number: whole, partial or estimated."""
    shown: Flags = (states == WHOLE) | (states >= PARTIAL)
    return shown
