"""The catalogue's files into what they say: one entry a line there, its key is its id."""

from __future__ import annotations

import csv
import tomllib
from importlib.resources import files
from typing import Any, TypeVar

import msgspec

from contracts.catalogue.model import Indicator, Measure

_T = TypeVar("_T")


def text_of(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def toml_of(name: str) -> dict[str, Any]:
    return tomllib.loads(text_of(name))


def entries(table: dict[str, dict[str, Any]], kind: type[_T]) -> dict[str, _T]:
    """The entries of one table by id, in the file's order; anything malformed raises at once."""
    return {name: msgspec.convert({"id": name, **entry}, kind) for name, entry in table.items()}


def read_measures() -> dict[tuple[str, str], Measure]:
    return {
        (family, name): msgspec.convert({"id": name, "family": family, **entry}, Measure)
        for family, measures in toml_of("measures.toml").items()
        for name, entry in measures.items()
    }


def read_indicators() -> dict[int, Indicator]:
    return {int(row["number"]): _indicator(row) for row in csv.DictReader(text_of("indicators.csv").splitlines())}


def _indicator(row: dict[str, str]) -> Indicator:
    return Indicator(
        number=int(row["number"]),
        theme=row["theme"],
        title=row["title"],
        kind=row["kind"],
        number_unit=row["number_unit"] == "yes",
        rate_unit=row["rate_unit"] == "yes",
        available_since=int(row["available_since"]),
        complete_since=int(row["complete_since"]),
        audience=tuple(row["audience"].split("+")),
        recipient_purpose=row["recipient_purpose"],
        legal_basis=row["legal_basis"],
        basis_purpose=row["basis_purpose"],
    )
