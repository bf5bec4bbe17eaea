"""What a reader may see, without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec

from contracts.registry import Convention, ConventionKind, Establishment, Grant, Territory
from contracts.scope import Opening, Scope
from services.identity.scope import WIDGETS, Agreed, Rights, scope_of
from tests.services.identity.documents import A, B, C

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TERRITORY = Territory("d086", "Vienne", "Europe/Paris")


def college(uai: str, opened: date | None = None, closed: date | None = None) -> Establishment:
    return Establishment(uai, f"Collège {uai}", "college", "Europe/Paris", ("86000",), opened, closed)


def agreed(
    uai: str, kind: ConventionKind = "consent", start: datetime | None = None, end: datetime | None = None
) -> Agreed:
    return Agreed(college(uai), Convention("d086", uai, kind, start, end), (Grant("agent-1", uai, "web"),))


MEMBERS = [college(each) for each in (A, B, C)]


def uais(scope: Scope) -> list[str]:
    return [visible.establishment.uai for visible in scope.establishments]


def test_only_conventions_in_force_now_are_seen():
    entries = [agreed(A), agreed(B, end=NOW), agreed(C, start=NOW + HOUR)]
    scope = scope_of(Rights(TERRITORY), MEMBERS, entries, 7, NOW)
    assert uais(scope) == [A]
    assert scope.rights_version == 7
    assert scope.territory == TERRITORY


def test_a_convention_ends_with_its_last_instant_excluded_and_starts_with_its_first_included():
    entries = [agreed(A, end=NOW), agreed(B, start=NOW)]
    assert uais(scope_of(Rights(TERRITORY), MEMBERS, entries, 1, NOW)) == [B]


def test_the_next_edge_ends_the_scope():
    entries = [agreed(A, end=NOW + 5 * HOUR), agreed(B, start=NOW + 3 * HOUR), agreed(C, start=NOW - HOUR)]
    assert scope_of(Rights(TERRITORY), MEMBERS, entries, 1, NOW).valid_until == NOW + 3 * HOUR
    assert scope_of(Rights(TERRITORY), MEMBERS, [agreed(A)], 1, NOW).valid_until is None


def test_an_administrator_has_every_widget_and_the_grants_come_along():
    (visible,) = scope_of(Rights(TERRITORY), MEMBERS, [agreed(A, "joint")], 1, NOW).establishments
    assert visible.widgets == WIDGETS
    assert visible.convention == "joint"
    assert visible.grants == (Grant("agent-1", A, "web"),)
    assert not visible.own


def test_removing_a_right_never_adds_anything():
    entries = [agreed(A), agreed(B), agreed(C)]
    whole = scope_of(Rights(TERRITORY), MEMBERS, entries, 1, NOW)
    part = scope_of(Rights(TERRITORY, frozenset({A, B}), frozenset({"social.eleves"})), MEMBERS, entries, 1, NOW)
    assert uais(part) == [A, B]
    seen = {visible.establishment.uai: visible.widgets for visible in whole.establishments}
    assert all(visible.widgets <= seen[visible.establishment.uai] for visible in part.establishments)
    assert len(part.without_convention) <= len(whole.without_convention)


def test_of_an_establishment_without_convention_only_its_dates_are_told():
    members = [college(A), college(B, opened=date(2025, 9, 1)), college(C, closed=date(2024, 8, 31))]
    entries = [agreed(A), agreed(B, end=NOW), agreed(C, start=NOW + HOUR)]
    scope = scope_of(Rights(TERRITORY), members, entries, 1, NOW)
    assert scope.without_convention == (Opening(closed=date(2024, 8, 31)), Opening(opened=date(2025, 9, 1)))
    told = msgspec.json.encode(scope).decode()
    assert A in told
    assert not any(uai in told or f"Collège {uai}" in told for uai in (B, C))


def test_the_order_of_openings_does_not_tell_that_of_establishments():
    first, second = (date(2020, 9, 1), None), (None, date(2030, 8, 31))
    one, other = (
        scope_of(Rights(TERRITORY), [college(A, *dates[0]), college(B, *dates[1])], [], 1, NOW)
        for dates in ((first, second), (second, first))
    )
    assert one == other


def test_a_reader_of_some_establishments_counts_those_alone():
    part = Rights(TERRITORY, frozenset({A, B}))
    assert scope_of(part, MEMBERS, [agreed(A)], 1, NOW).without_convention == (Opening(),)
