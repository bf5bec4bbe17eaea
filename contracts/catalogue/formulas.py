"""Formulas as tables.toml writes them: terms added up, then divided once.

`web(eleve mobile) / connections(eleve)`: a term is a measure's id (`family/measure` where two families have it) or a name from
`[terms]`, which stands for a sum; words in parentheses narrow it to some of its profiles, channels, accesses or levels.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from contracts.catalogue.model import Formula, Selector, Unit

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from contracts.catalogue import Catalogue

_TERM = re.compile(r"([\w./-]+)(?:\(([\w= -]+)\))?", re.ASCII)
_DIMENSIONS = {"profile": "profiles", "channel": "channels", "access": "accesses", "level": "levels"}
"""What a word may be told to be (`access=any`) where two dimensions have it, and the selector's name for it."""


class BadFormulaError(ValueError):
    """A formula of tables.toml names what is not there, or selects nothing."""

    code = "bad_formula"


class Formulas:
    """Reads formulas of one catalogue."""

    def __init__(self, catalogue: Catalogue, terms: Mapping[str, str]) -> None:
        self._catalogue = catalogue
        self._terms = terms
        self._values: Mapping[str, Container[str]] = {
            "profiles": catalogue.profiles,
            "channels": catalogue.channels,
            "accesses": catalogue.accesses,
            "levels": catalogue.levels,
        }
        uses = Counter(measure for _, measure in catalogue.measures)
        self._alone = {measure: family for family, measure in catalogue.measures if uses[measure] == 1}

    def read(self, text: str, unit: Unit | None = None) -> Formula:
        """A formula; what is divided is a rate unless `unit` says otherwise."""
        above, *below = text.split(" / ")
        if len(below) > 1:
            raise BadFormulaError(f"{text!r} divides twice")
        over = self._sum(below[0]) if below else ()
        return Formula(self._sum(above), over, unit or ("rate" if over else "count"))

    def _sum(self, text: str) -> tuple[Selector, ...]:
        return tuple(selector for term in text.split(" + ") for selector in self._term(term))

    def _term(self, text: str) -> Iterable[Selector]:
        match = _TERM.fullmatch(text)
        if match is None:
            raise BadFormulaError(f"{text!r} is no term")
        name, words = match[1], (match[2] or "").split()
        for selector in self._named(name):
            narrowed = self._narrow(selector, words)
            if not self._catalogue.codes(narrowed):
                raise BadFormulaError(f"{text!r} selects nothing of {selector.family}/{selector.measure}")
            yield narrowed

    def _named(self, name: str) -> tuple[Selector, ...]:
        if name in self._terms:
            return self._sum(self._terms[name])
        family, _, measure = name.rpartition("/")
        family = family or self._alone.get(measure, "")
        if (family, measure) not in self._catalogue.measures:
            raise BadFormulaError(f"{name!r} is neither a term nor a measure of one family")
        return (Selector(family, measure),)

    def _narrow(self, selector: Selector, words: Iterable[str]) -> Selector:
        chosen: dict[str, tuple[str, ...]] = {}
        for text in words:
            dimension, word = self._place(selector, text)
            chosen[dimension] = (*chosen.get(dimension, ()), word)
        return msgspec.structs.replace(selector, **chosen)

    def _place(self, selector: Selector, text: str) -> tuple[str, str]:
        """The dimension of a word: the first that has it, among those that the term itself leaves open."""
        told, _, word = text.rpartition("=")
        for name, dimension in _DIMENSIONS.items():
            if told in {"", name} and getattr(selector, dimension) is None and word in self._values[dimension]:
                return dimension, word
        raise BadFormulaError(f"{text!r} is no profile, channel, access or level that {selector} leaves open")
