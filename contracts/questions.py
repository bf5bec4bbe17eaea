"""What the gateway asks the query API: POST bodies. A scope travels whole and is kept by its bytes, so send equal scopes equally.

Paths: `/internal/tables` (Table), `/internal/summaries` (Summary), `/internal/series/daily` and `/internal/series/hourly`
(Series), `/internal/freshness` (Freshness). Answers are ready JSON (contracts.answers), faults are problem+json with a stable code.
"""

from __future__ import annotations

import msgspec


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`scope` is the JSON of contracts.scope.Scope, as the identity service gave it."""

    scope: msgspec.Raw


class TableQuestion(Asked, frozen=True, kw_only=True):
    """No `establishments`: all of the scope. `sort`: a column id, `name` or `uai`, with `-` before it to reverse.

    `columns`: those of the `page`, or `all`. `compare`: `previous` adds `<id>.previous` and `<id>.difference` to each column.
    """

    table: str
    window: str | None = None
    school_year: str | None = None
    display: str = "values"
    establishments: tuple[str, ...] = ()
    sort: str = "name"
    search: str = ""
    columns: str = "page"
    compare: str = ""


class SummaryQuestion(Asked, frozen=True, kw_only=True):
    page: str
    window: str | None = None
    school_year: str | None = None
    establishments: tuple[str, ...] = ()


class SeriesQuestion(Asked, frozen=True, kw_only=True):
    establishments: tuple[str, ...] = ()


class FreshnessQuestion(Asked, frozen=True, kw_only=True):
    establishments: tuple[str, ...] = ()
