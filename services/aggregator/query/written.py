"""Rows of a table written as JSON, a column at a time: byte for byte what msgspec makes of the contract's objects. Pure.

A cell's text is what stands between `{"value":` and `}`, so that a row is its cells' texts joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import msgspec

from contracts.answers import AnswerRow
from services.aggregator.query.cells import rounded, shares
from services.aggregator.query.figures import Figures
from services.aggregator.query.lines import Line
from services.aggregator.query.states import NAMES

_encode = msgspec.json.Encoder().encode
_BETWEEN = b'},{"value":'
_STATES = [b',"state":' + _encode(name) if name else b"" for name in NAMES]


def written_rows(lines: Sequence[Line], places: Iterable[int], columns: Sequence[Figures]) -> list[AnswerRow]:
    """The rows of the lines at these places, in this order, each as its JSON: to be encoded, and for nothing else."""
    cells = list(zip(*map(_texts, columns), strict=True))
    rows = [msgspec.Raw(lines[place].opening + _BETWEEN.join(cells[place]) + b"}]}") for place in places]
    return cast("list[AnswerRow]", rows)


def _texts(figures: Figures) -> list[bytes]:
    """The text of each line's cell. Numbers hold no comma, so that they are written all at once and cut."""
    texts = _encode(rounded(figures))[1:-1].split(b",") if len(figures.state) else []
    if not figures.state.any():
        return texts
    found = shares(figures)
    told = {share: b"" if share is None else b',"share":' + _encode(share) for share in set(found)}
    states = map(_STATES.__getitem__, figures.state.tolist())
    return [text + state + told[share] for text, state, share in zip(texts, states, found, strict=True)]
