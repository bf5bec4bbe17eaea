"""How long a journal was observed (rules.md 3)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.collector.config import SourcesSettings
from services.collector.observation import APART, Heartbeats, minutes_of_day, observed
from tests.services.collector.school import School, connection, heartbeat


def test_observed_from_the_first_line_to_where_the_agent_stood(school: School) -> None:
    school.write(connection("2026-11-19T22:40:29+01:00"), connection("2026-11-20T09:00:00+01:00"))
    school.read()
    assert school.minutes("2026-11-19") == {22: 20, 23: 60}
    assert school.minutes("2026-11-20") == dict.fromkeys(range(13), 60)


def test_minutes_are_rounded_half_a_minute_up(school: School) -> None:
    school.write(connection("2026-11-20T12:58:30+01:00"))
    assert school.read().minutes("2026-11-20") == {12: 2}


def test_from_the_first_heartbeat_on_only_between_close_heartbeats(school: School) -> None:
    school.write(
        connection("2026-11-19T05:00:00+01:00"),
        heartbeat("2026-11-19T06:00:00+01:00"),
        heartbeat("2026-11-19T08:00:00+01:00"),
        connection("2026-11-19T09:00:00+01:00"),
        heartbeat("2026-11-19T10:00:01+01:00"),
        heartbeat("2026-11-19T10:30:00+01:00"),
    )
    school.read()
    assert school.minutes("2026-11-19") == {5: 60, 6: 60, 7: 60, 10: 30}
    assert school.minutes("2026-11-20") == {}


def test_the_last_heartbeat_vouches_for_two_hours_at_most(school: School) -> None:
    school.write(heartbeat("2026-11-20T11:00:00+01:00"))
    assert school.read().minutes("2026-11-20") == {11: 60, 12: 60}
    school.write(heartbeat("2026-11-20T11:30:00+01:00"))
    school.now = datetime(2026, 11, 20, 12, 30, 1, tzinfo=UTC)
    assert school.read().minutes("2026-11-20") == {11: 60, 12: 60}


def test_an_older_line_read_later_widens_what_was_observed(school: School) -> None:
    school.write(connection("2026-11-20T10:00:00+01:00"))
    school.read()
    school.write(connection("2026-11-19T23:30:00+01:00"))
    school.read()
    assert school.minutes("2026-11-19") == {23: 30}
    assert school.minutes("2026-11-20") == dict.fromkeys(range(13), 60)


def test_nothing_accepted_is_nothing_observed(school: School) -> None:
    school.write("rubbish", heartbeat("2020-01-01T00:00:00Z"))
    school.read()
    assert {family for family, _, _ in school.reports()} == {"diagnostics"}


def test_a_missing_file_is_not_observed_and_heals(school: School) -> None:
    path = school.write(connection("2026-11-20T08:00:00+01:00"))
    school.read()
    path.rename(school.folder / "away.ndjson")
    school.now = datetime(2026, 11, 20, 14, tzinfo=UTC)
    school.read()
    assert school.service.source.problems == ["journal*: no such file"]
    assert max(school.minutes("2026-11-20")) == 12
    (school.folder / "away.ndjson").rename(path)
    school.read()
    assert school.minutes("2026-11-20") == dict.fromkeys(range(8, 15), 60)


def test_a_path_that_the_system_refuses_to_look_at_is_a_missing_file(make_school) -> None:
    refused = "x" * 300 + ".ndjson"
    school = make_school(sources=SourcesSettings(journal=("journal*", refused)))
    school.write(connection("2026-11-20T12:00:00+01:00"))
    school.read()
    assert school.service.source.problems == [f"{refused}: no such file"]
    assert school.counts("web", "day", "2026-11-20") == {"eleve.web.direct": 1}
    assert school.minutes("2026-11-20") == {}


def test_the_night_of_25_hours_and_the_one_of_23(school: School) -> None:
    school.now = datetime(2026, 10, 26, 12, tzinfo=UTC)
    school.write(*(heartbeat(f"2026-10-{day}T{hour:02}:00:00Z") for day in (24, 25, 26) for hour in range(0, 12, 2)))
    school.write(*(heartbeat(f"2026-10-{day}T{hour:02}:00:00Z") for day in (24, 25) for hour in range(12, 24, 2)))
    school.read()
    assert school.minutes("2026-10-25") == dict.fromkeys(range(25), 60)
    assert minutes_of_day(date(2026, 3, 29), "Europe/Paris", [(0.0, 2e9)]) == dict.fromkeys(range(23), 60)


def test_where_hours_start_at_half_past(make_school) -> None:
    school = make_school(zone="Pacific/Marquesas")
    school.write(connection("2026-11-19T10:00:00-09:30"))
    school.read()
    assert school.minutes("2026-11-19") == dict.fromkeys(range(10, 24), 60)
    assert school.minutes("2026-11-20") == {0: 60, 1: 60, 2: 30}
    assert school.counts("web", "hour", "2026-11-19T10:00-09:30") == {"families.web": 1}


@given(st.lists(st.integers(0, 200_000), min_size=1), st.randoms())
def test_the_order_of_heartbeats_does_not_matter(beats: list[int], rng) -> None:
    ordered, shuffled = Heartbeats(), Heartbeats()
    for beat in sorted(beats):
        ordered.add(float(beat))
    rng.shuffle(beats)
    for beat in beats:
        shuffled.add(float(beat))
    assert ordered.spans == shuffled.spans
    plain = sorted(set(beats))
    covered = sum(b - a for a, b in pairwise(plain) if b - a <= APART)
    assert sum(last - first for first, last in ordered.spans) == covered


def test_nothing_is_observed_before_the_first_line_or_after_where_the_agent_stood() -> None:
    assert observed(100.0, 50.0, []) == []
    assert observed(None, 50.0, []) == []
    assert observed(0.0, 10_000.0, [(9_000.0, 90_000.0)]) == [(0.0, 9_000.0), (9_000.0, 10_000.0)]
