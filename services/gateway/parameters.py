"""What may stand in a query string, strictly: UTF-8, no control characters, nothing twice, nothing unknown."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field

from services.gateway import errors

MAX_QUERY_BYTES = 32_768
"""Room for a thousand establishments; the server itself reads no more than 64 KiB of head."""
MAX_FIELDS = 2_000
TOKEN_NAMES = frozenset({"token", "access_token", "bearer", "authorization", "api_key", "apikey", "key"})
_CONTROL = frozenset({"Cc", "Cs"})

WINDOWS = ("last-day", "current-month", "last-month", "current-year", "last-year")

Establishments = Annotated[
    list[Annotated[str, Field(max_length=20)]],
    Field(max_length=MAX_FIELDS, description="UAI; repeatable. All of the perimeter when absent."),
]


class Parameters(BaseModel):
    """Parameters that every figure knows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    establishment: Establishments = []


class WindowParameters(Parameters):
    """Figures of a window or of a school year; the current year when neither is given."""

    window: Annotated[
        str | None, Field(max_length=40, description="The window.", json_schema_extra={"enum": list(WINDOWS)})
    ] = None
    school_year: Annotated[
        str | None, Field(max_length=40, description="A school year instead of a window.", examples=["2025-2026"])
    ] = None


class TableParameters(WindowParameters):
    """A table: what it shows, in which order, of which lines."""

    display: Annotated[str, Field(max_length=20, json_schema_extra={"enum": ["values", "rates"]})] = "values"
    sort: Annotated[
        str, Field(max_length=80, description="A column's id, name or uai; with - before it to reverse.")
    ] = "name"
    columns: Annotated[
        str,
        Field(
            max_length=20,
            description="Those of the page, or all: also the ones that no page shows.",
            json_schema_extra={"enum": ["page", "all"]},
        ),
    ] = "page"
    compare: Annotated[
        str,
        Field(
            max_length=20,
            description="`previous`, for tables by school year: adds to each column `<id>.previous`, the school year before, "
            "and `<id>.difference`.",
            json_schema_extra={"enum": ["", "previous"]},
        ),
    ] = ""
    search: Annotated[
        str, Field(max_length=200, description="Part of a UAI, name or postal code; case and accents do not matter.")
    ] = ""


class CsvParameters(TableParameters):
    """A table as CSV."""

    dialect: Annotated[
        Literal["fr", "rfc4180"],
        Field(description="fr: semicolons, decimal comma, BOM, French titles; rfc4180: commas, point, no BOM, ids."),
    ] = "fr"


def check_query(query: bytes) -> None:
    """Refuse what no route understands, before anything is done with it."""
    if len(query) > MAX_QUERY_BYTES:
        raise errors.OversizeQueryError(f"{len(query)} bytes, at most {MAX_QUERY_BYTES} are read")
    try:
        fields = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise errors.MalformedQueryError("percent-encoded UTF-8 and at most 2000 fields are expected") from error
    _refuse_tokens(name for name, _ in fields)
    if any(unicodedata.category(character) in _CONTROL for pair in fields for text in pair for character in text):
        raise errors.MalformedQueryError("control characters stand in the query string")
    _refuse_twice(name for name, _ in fields)


def _refuse_tokens(names: Iterable[str]) -> None:
    if any(name.lower() in TOKEN_NAMES for name in names):
        raise errors.TokenInUrlError


def _refuse_twice(names: Iterable[str]) -> None:
    twice = sorted(name for name, times in Counter(names).items() if times > 1 and name != "establishment")
    if twice:
        raise errors.RepeatedParameterError(f"{twice[0][:80]!r} is given more than once")
