"""Conventions over time, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.registry import Convention, ConventionKind
from services.identity.agreement import Amendment, StoredConvention, amend, overlap

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
kinds = st.sampled_from(["consent", "joint", None])


def stored(
    number: int, kind: ConventionKind = "consent", start: datetime | None = None, end: datetime | None = None
) -> StoredConvention:
    return StoredConvention(number, Convention("d086", "0750001A", kind, start, end))


def test_a_first_convention_has_no_start_so_that_history_may_be_shown():
    assert amend([], "d086", "0750001A", "joint", NOW) == Amendment(
        begin=Convention("d086", "0750001A", "joint", None, None)
    )


def test_the_same_kind_again_changes_nothing():
    assert amend([stored(1)], "d086", "0750001A", "consent", NOW) == Amendment()


def test_another_kind_ends_the_present_one_and_begins_now():
    amendment = amend([stored(1)], "d086", "0750001A", "joint", NOW)
    assert amendment == Amendment((1,), Convention("d086", "0750001A", "joint", NOW, None))


def test_none_ends_what_is_in_force_and_nothing_where_nothing_is():
    assert amend([stored(1)], "d086", "0750001A", None, NOW) == Amendment((1,))
    assert amend([stored(1, end=NOW)], "d086", "0750001A", None, NOW) == Amendment()


def test_a_new_one_stops_where_one_that_was_agreed_for_later_begins():
    later = stored(1, start=NOW + 30 * DAY)
    assert amend([later], "d086", "0750001A", "joint", NOW).begin == Convention(
        "d086", "0750001A", "joint", NOW, NOW + 30 * DAY
    )


@given(st.lists(kinds, max_size=6))
def test_any_sequence_of_wishes_leaves_one_convention_of_the_wished_kind_and_no_overlap(wishes):
    rows: list[StoredConvention] = []
    for step, kind in enumerate(wishes):
        now = NOW + step * DAY
        amendment = amend(rows, "d086", "0750001A", kind, now)
        rows = [
            stored(row.id, row.convention.kind, row.convention.valid_from, now) if row.id in amendment.end else row
            for row in rows
        ]
        if amendment.begin:
            rows.append(StoredConvention(step, amendment.begin))
        in_force = [row.convention.kind for row in rows if row.convention.in_force(now)]
        assert in_force == ([kind] if kind else [])
    conventions = [row.convention for row in rows]
    assert not any(overlap(a, b) for i, a in enumerate(conventions) for b in conventions[:i])


def test_conventions_that_follow_each_other_do_not_overlap():
    first, second = stored(1, end=NOW).convention, stored(2, start=NOW).convention
    assert not overlap(first, second)
    assert overlap(first, stored(3, start=NOW - DAY).convention)
    assert overlap(stored(4).convention, second)
