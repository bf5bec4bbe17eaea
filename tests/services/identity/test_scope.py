"""What a reader may see, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from contracts.registry import Convention, ConventionKind, Establishment, Grant, Territory
from contracts.scope import Scope
from services.identity.scope import WIDGETS, Agreed, Rights, scope_of
from tests.services.identity.documents import A, B, C

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TERRITORY = Territory("d086", "Vienne", "Europe/Paris")


def agreed(
    uai: str, kind: ConventionKind = "consent", start: datetime | None = None, end: datetime | None = None
) -> Agreed:
    establishment = Establishment(uai, "Collège", "college", "Europe/Paris")
    return Agreed(establishment, Convention("d086", uai, kind, start, end), (Grant("agent-1", uai, "web"),))


def uais(scope: Scope) -> list[str]:
    return [visible.establishment.uai for visible in scope.establishments]


def test_only_conventions_in_force_now_are_seen():
    entries = [agreed(A), agreed(B, end=NOW), agreed(C, start=NOW + HOUR)]
    scope = scope_of(Rights(TERRITORY), entries, 7, NOW)
    assert uais(scope) == [A]
    assert scope.rights_version == 7
    assert scope.territory == TERRITORY


def test_a_convention_ends_with_its_last_instant_excluded_and_starts_with_its_first_included():
    entries = [agreed(A, end=NOW), agreed(B, start=NOW)]
    assert uais(scope_of(Rights(TERRITORY), entries, 1, NOW)) == [B]


def test_the_next_edge_ends_the_scope():
    entries = [agreed(A, end=NOW + 5 * HOUR), agreed(B, start=NOW + 3 * HOUR), agreed(C, start=NOW - HOUR)]
    assert scope_of(Rights(TERRITORY), entries, 1, NOW).valid_until == NOW + 3 * HOUR
    assert scope_of(Rights(TERRITORY), [agreed(A)], 1, NOW).valid_until is None


def test_an_administrator_has_every_widget_and_the_grants_come_along():
    (visible,) = scope_of(Rights(TERRITORY), [agreed(A, "joint")], 1, NOW).establishments
    assert visible.widgets == WIDGETS
    assert visible.convention == "joint"
    assert visible.grants == (Grant("agent-1", A, "web"),)
    assert not visible.own


def test_removing_a_right_never_adds_anything():
    entries = [agreed(A), agreed(B), agreed(C)]
    whole = scope_of(Rights(TERRITORY), entries, 1, NOW)
    part = scope_of(Rights(TERRITORY, frozenset({A, B}), frozenset({"social.eleves"})), entries, 1, NOW)
    assert uais(part) == [A, B]
    seen = {visible.establishment.uai: visible.widgets for visible in whole.establishments}
    assert all(visible.widgets <= seen[visible.establishment.uai] for visible in part.establishments)
