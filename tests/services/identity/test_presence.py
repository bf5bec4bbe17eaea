"""What hellos tell, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.fleet import Hello
from services.identity.presence import (
    COALESCING,
    Expectations,
    Presence,
    copied,
    heard,
    is_older,
    is_replay,
    status_of,
)

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CADENCE = 5 * MINUTE
EXPECTED = Expectations(CADENCE, "0.3.0")
offsets = st.timedeltas(timedelta(days=-30), timedelta(days=30))


def hello(sent_at: datetime, state: str = "a", **changes: object) -> Hello:
    told = {"agent": "x", "version": "0.3.0", "catalogue": 1, "state": state, "sent_at": sent_at, **changes}
    return Hello(**told)  # type: ignore[arg-type]


def presence(at: datetime = NOW, state: str = "a", skew: timedelta = timedelta(), **changes: object) -> Presence:
    told = {"agent": "x", "at": at, "sent_at": at + skew, "version": "0.3.0", "catalogue": 1, "state": state,
            "waiting": 0, "problems": 0, **changes}  # fmt: skip
    return Presence(**told)  # type: ignore[arg-type]


def test_the_first_hello_is_kept():
    assert heard(None, hello(NOW), NOW) == presence()


def test_a_hello_that_says_nothing_new_is_kept_once_a_minute():
    assert heard(presence(), hello(NOW + 59 * MINUTE / 60), NOW + 59 * MINUTE / 60) is None
    assert heard(presence(), hello(NOW + MINUTE), NOW + MINUTE) == presence(NOW + MINUTE)


@pytest.mark.parametrize(
    "news", [{"version": "0.4.0"}, {"catalogue": 2}, {"waiting": 1}, {"problems": 3}, {"state": "b"}]
)
def test_news_is_kept_at_once(news):
    later = NOW + timedelta(seconds=1)
    kept = heard(presence(), hello(later, **news), later)
    assert kept is not None
    assert kept.at == later


def test_a_clock_that_jumps_is_news():
    later = NOW + timedelta(seconds=1)
    kept = heard(presence(), hello(later + timedelta(hours=2)), later)
    assert kept is not None
    assert kept.skew == timedelta(hours=2)


@given(
    skew=offsets, age=st.timedeltas(timedelta(), timedelta(days=400)), unrecorded=st.timedeltas(timedelta(), COALESCING)
)
def test_no_old_hello_makes_an_agent_look_alive(skew: timedelta, age: timedelta, unrecorded: timedelta):
    """Whatever was sent up to the last recorded hello, or passed unrecorded after it, is known again once it is not fresh."""
    known = presence(skew=skew)
    played_at = NOW + age
    sent_at = known.sent_at + unrecorded - age
    fresh = abs(sent_at - played_at) <= 10 * MINUTE
    assert is_replay(known, sent_at, played_at) or fresh


@given(skew=offsets, step=st.timedeltas(MINUTE, timedelta(days=2)))
def test_an_agent_with_a_wrong_clock_that_goes_on_is_heard(skew: timedelta, step: timedelta):
    known = presence(skew=skew)
    assert not is_replay(known, known.sent_at + step + timedelta(microseconds=1), NOW + step)


@given(
    skew=st.timedeltas(11 * MINUTE + timedelta.resolution, timedelta(days=300)),
    step=st.timedeltas(timedelta(seconds=1), MINUTE),
)
def test_a_clock_that_is_set_right_is_heard_at_once(skew: timedelta, step: timedelta):
    assert not is_replay(presence(skew=skew), NOW + step, NOW + step)


def test_two_state_files_are_a_copy_until_one_has_been_quiet():
    known = heard(presence(), hello(NOW + MINUTE, "b"), NOW + MINUTE)
    assert known is not None
    assert copied(known, NOW + MINUTE, CADENCE)
    assert copied(known, NOW + 10 * MINUTE, CADENCE)
    assert not copied(known, NOW + 11 * MINUTE, CADENCE)
    again = heard(known, hello(NOW + 9 * MINUTE, "a"), NOW + 9 * MINUTE)
    assert copied(again, NOW + 11 * MINUTE, CADENCE)
    assert copied(again, NOW + timedelta(minutes=40), timedelta(minutes=30))


def test_one_state_file_is_none():
    assert not copied(None, NOW, CADENCE)
    assert not copied(heard(presence(), hello(NOW + MINUTE), NOW + MINUTE), NOW + MINUTE, CADENCE)


@pytest.mark.parametrize(
    ("version", "older"),
    [("0.3.0", False), ("0.3", False), ("0.10.0", False), ("v1", False), ("0.2.99", True), ("0.3.0rc1", False),
     ("", True), ("nightly", True), ("0", True)],
)  # fmt: skip
def test_versions_are_compared_by_their_numbers(version: str, older: bool):
    assert is_older(version, "0.3.0") is older


def test_a_status_says_what_to_look_at():
    well = status_of("x", ["B", "A"], presence(), NOW + MINUTE, EXPECTED, revoked=False)
    assert (well.establishments, well.last_hello, well.skew_seconds) == (["A", "B"], NOW, 0)
    flags = (well.silent, well.too_old, well.skewed, well.copied, well.revoked)
    assert flags == (False,) * 5
    ill = presence(skew=-6 * MINUTE, version="0.1.0", other_state_at=NOW)
    told = status_of("x", [], ill, NOW + MINUTE, EXPECTED, revoked=False)
    assert (told.too_old, told.skewed, told.copied, told.silent) == (True, True, True, False)


def test_silence_is_neither_hello_nor_report_for_three_cadences():
    quiet = status_of("x", [], presence(), NOW + 16 * MINUTE, EXPECTED, revoked=False)
    assert quiet.silent
    before = EXPECTED.silent_before(NOW + 16 * MINUTE)
    assert not quiet.with_report(NOW + 2 * MINUTE, before).silent
    assert quiet.with_report(NOW - MINUTE, before).silent
    assert status_of("x", [], None, NOW, EXPECTED, revoked=False).silent
    assert not status_of("x", [], None, NOW, EXPECTED, revoked=True).silent
