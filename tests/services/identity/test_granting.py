"""Grants as operators write them."""

from __future__ import annotations

from datetime import date

import pytest

from contracts.registry import Grant
from services.identity.errors import RefusedEntryError
from services.identity.granting import SOURCES, read_grants
from tests.services.identity.documents import A, B

MARCH, JUNE = date(2026, 3, 1), date(2026, 6, 30)


def test_families_and_sources_with_their_days():
    assert read_grants("x", [f"{A}:web", f"{B.lower()}:people:2026-03-01", f"{A}:software:2026-03-01:2026-06-30"]) == [
        Grant("x", A, "web"),
        Grant("x", B, "people", MARCH),
        Grant("x", A, "software", MARCH, JUNE),
    ]
    assert read_grants("x", [f"{A}:web::2026-06-30"]) == [Grant("x", A, "web", None, JUNE)]


def test_a_source_stands_for_what_it_supplies():
    assert {"web", "software", "people", "activities.social", "observed.journal"} <= set(SOURCES["journal"])
    assert SOURCES["access-log"] == ("web", "observed.access-log")
    assert all(family.startswith("census.") for family in SOURCES["census"])
    given = read_grants("x", [f"{A}:journal", f"{A}:access-log"])
    assert sorted(grant.family for grant in given) == sorted({*SOURCES["journal"], *SOURCES["access-log"]})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_grant"),
        (A, "invalid_grant"),
        (f"{A}:web:2026-03-01:2026-06-30:x", "invalid_grant"),
        (f"{A}:web:soon", "invalid_grant"),
        (f"{A}:telepathy", "unknown_family"),
        (f"{A}:", "invalid_grant"),
        ("0860001Z:web", "invalid_uai"),
        (f"{A}:web:2026-06-30:2026-03-01", "invalid_dates"),
    ],
)
def test_what_is_no_grant_is_named(text: str, code: str):
    with pytest.raises(RefusedEntryError) as refused:
        read_grants("x", [text])
    assert refused.value.code == code
