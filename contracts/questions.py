"""What the gateway asks the query API: POST bodies. A scope travels whole once, then by its digest while it is known there.

Paths: `/internal/tables` (Table), `/internal/summaries` (Summary), `/internal/series/daily` and `/internal/series/hourly`
(Series), `/internal/freshness` (Freshness). Answers are ready JSON (contracts.answers), faults are problem+json with a stable code.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec

UNKNOWN_SCOPE = "unknown_scope"
"""Code of the refusal (409) of a digest that the query API does not know, or not any more: ask again with the scope."""


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`scope` is the JSON of contracts.scope.Scope, as the identity service gave it; `scope_digest` that of its bytes.

    Unset: the digest alone tells.
    """

    scope: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    scope_digest: str = ""


def digest_of(scope: msgspec.Raw) -> str:
    """Names a scope's bytes. What it names cannot be chosen by who asks: the query API makes it itself of what it was sent."""
    return sha256(scope).hexdigest()


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
