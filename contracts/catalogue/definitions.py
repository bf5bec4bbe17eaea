"""Definition cards: what a column is, in words, with everything that the catalogue knows of it.

The sentence is definitions.toml's; formula, years, audience, purpose, legal basis and origin follow from the column itself, so that
no card can say anything else than what is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from contracts.catalogue.model import Column, Formula, Selector, Table
from contracts.catalogue.reading import toml_of

if TYPE_CHECKING:
    from contracts.catalogue import Catalogue

Language = Literal["fr", "en"]
LANGUAGES: tuple[Language, ...] = ("fr", "en")
Origin = Literal["observed", "presumed", "declared"]
"""Counted from a journal; presumed from an access log; declared in a census."""


class NoDefinitionError(LookupError):
    """A column has no sentence in definitions.toml."""

    code = "no_definition"


class Definition(msgspec.Struct, frozen=True):
    """The card of a column, or of all the columns of a table by levels.

    `formula` and `rate` say what the number is and what replaces it in Taux ('' for nothing). `since`: the first school year
    begins in that year; `complete_since`: the first one in which no component is missing. `title`, `purpose` and `legal_basis`
    are the words of the annex, French in every language.
    """

    id: str
    text: str
    formula: str
    rate: str
    indicator: int
    title: str
    since: int
    complete_since: int
    audience: tuple[str, ...]
    purpose: str
    legal_basis: str
    basis_purpose: str
    origin: tuple[Origin, ...]
    note: str
    remarks: tuple[str, ...]


class _Words(msgspec.Struct, forbid_unknown_fields=True):
    fr: str
    en: str


class _Sentence(_Words, forbid_unknown_fields=True):
    note: _Words | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    words: dict[Language, dict[str, str]]
    remarks: dict[str, _Words]
    columns: dict[str, dict[str, _Sentence]]


class Definitions:
    """Cards of one catalogue's columns."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._file = msgspec.convert(toml_of("definitions.toml"), _File)

    def key(self, table: Table, column: Column) -> str:
        """The card's id: columns of one table by levels share theirs."""
        return table.id if column.level else f"{table.id}/{column.id}"

    def of(self, table: Table, column: Column, language: Language = "fr") -> Definition:
        """A column's card; `NoDefinitionError` where nobody wrote its sentence."""
        sentence, words = self._sentence(table, column, language)
        indicator = self._catalogue.indicators[column.indicator]
        return Definition(
            id=self.key(table, column),
            text=words,
            formula=self.said(column.value, language),
            rate=self.said(column.rate, language) if column.rate else "",
            indicator=indicator.number,
            title=indicator.title,
            since=indicator.available_since,
            complete_since=indicator.complete_since if indicator.kind == "indicator" else indicator.available_since,
            audience=indicator.audience,
            purpose=indicator.recipient_purpose,
            legal_basis=indicator.legal_basis,
            basis_purpose=indicator.basis_purpose,
            origin=tuple(dict.fromkeys(self._origins(column))),
            note=getattr(sentence.note, language) if sentence.note else "",
            remarks=tuple(getattr(self._file.remarks[name], language) for name in self._remarks(table, column)),
        )

    def said(self, formula: Formula, language: Language) -> str:
        """A formula in words: « Filles ÷ Élèves », with parentheses around a sum that is divided or divides."""
        if not formula.over:
            return self._sum(formula.parts, language)
        above, below = (
            f"({self._sum(parts, language)})" if len(parts) > 1 else self._sum(parts, language)
            for parts in (formula.parts, formula.over)
        )
        return f"{above} ÷ {below}"

    def _sum(self, parts: Sequence[Selector], language: Language) -> str:
        return " + ".join(self._part(part, language) for part in parts)

    def _part(self, selector: Selector, language: Language) -> str:
        known, measure = self._catalogue, self._catalogue.measures[selector.family, selector.measure]
        narrowed = [
            values[name].label if language == "fr" else values[name].en
            for values, names in (
                (known.profiles, selector.profiles),
                (known.channels, selector.channels),
                (known.accesses, [name for name in selector.accesses or () if name != "any"]),
            )
            for name in names or ()
        ]
        if selector.levels:
            narrowed.append(self._file.words[language]["level"])
        label = measure.label if language == "fr" else measure.en
        return f"{label} ({', '.join(narrowed)})" if narrowed else label

    def _sentence(self, table: Table, column: Column, language: Language) -> tuple[_Sentence, str]:
        """The sentence that fits best, and its words with the patterns filled."""
        words = self._file.words[language]
        for key, filled in self._keys(table, column):
            of_table, _, of_column = key.partition("/")
            if sentence := self._file.columns.get(of_table, {}).get(of_column):
                text = getattr(sentence, language)
                for pattern, word in filled.items():
                    text = text.replace(f"{{{pattern}}}", words[word])
                own = not column.level or of_column == "*"
                return sentence, text if own else text + words["by_level"]
        raise NoDefinitionError(f"{table.id}/{column.id}")

    def _keys(self, table: Table, column: Column) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Where a sentence may stand, the nearest first: the column's own, a pattern that fits, the measure's that a level details."""
        if column.level:
            yield f"{table.id}/*", {}
            measure = table.id.rpartition(".")[2]
            pages = (each.id for each in self._catalogue.tables.values() if each.page == table.page)
            yield from ((f"{page}/{measure}", {}) for page in pages)
            return
        yield f"{table.id}/{column.id}", {}
        words = self._file.words["fr"]
        first, _, last = column.id.partition(".")
        if first in words:
            yield f"{table.id}/{{profile}}.{last}", {"profile": first}
        if last in words:
            yield f"{table.id}/{first}.{{band}}", {"band": last}

    def _origins(self, column: Column) -> Iterator[Origin]:
        for selector in selectors(column):
            if selector.family == "web":
                yield from ("observed", "presumed")
            elif self._catalogue.families[selector.family].kind == "level":
                yield "declared"
            else:
                yield "observed"

    def _remarks(self, table: Table, column: Column) -> Iterator[str]:
        """Names of what holds for every column of this kind."""
        families = {selector.family for selector in column.value.parts}
        divided = [selector for formula in (column.value, column.rate) if formula for selector in formula.over]
        told = {
            "flow": not column.level and any(family.startswith("activities.") for family in families),
            "presumed": any(selector.family == "web" for selector in selectors(column)),
            "people": "people" in families,
            "people_rate": "people" in families and column.rate is not None,
            "small": bool(families & {"web", "software", "people"}),
            "census": any(self._catalogue.families[family].kind == "level" for family in families),
            "valued": any(selector.measure.startswith("valued.") for selector in divided),
            "all_pupils": Selector("census.eleves", "pupils") in divided and column.value.unit != "ratio",
            "level": bool(column.level),
            "level_flow": bool(column.level) and any(family.startswith("activities.") for family in families),
            "ratio": column.value.unit == "ratio",
            "social": table.page == "social",
            "details": self._catalogue.indicators[column.indicator].kind == "reference-table",
            "since": True,
            "api": not column.on_page,
        }
        return (name for name, holds in told.items() if holds)


def selectors(column: Column) -> Iterator[Selector]:
    """Everything that a column adds up or divides by, in any display."""
    return (selector for formula in (column.value, column.rate) if formula for selector in formula.parts + formula.over)
