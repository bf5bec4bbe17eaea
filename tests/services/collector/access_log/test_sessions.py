"""Sessions (rules.md 4): each test is a sentence of the rule, its expectation written by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.collector.access_log import Fact, SetAside
from tests.services.collector.access_log.reading import HOST, UAI, access_log, at, connections, read, reasons
from tests.support.access_logs import APP, FIREFOX, PRONOTEPY, Hit, call, combined, host_first, opening, page, upload

END = page(at(hours=30))
"""Long after everything: what was open is over when this line has left the buffer."""


def facts_of(*hits: Hit, ended: bool = True) -> list[Fact]:
    return read([combined(hit) for hit in (*hits, *([END] if ended else ()))], access_log())


def session(start: datetime, number: int = 7, espace: int = 3, calls: int = 3, **rest: Any) -> list[Hit]:
    """An opening and so many other calls, each a second after the one before."""
    return [
        opening(start, espace, number, **rest),
        *(
            call(start.replace(microsecond=0) + (at(n) - at()), espace, number, f"{n:032x}", **rest)
            for n in range(1, calls + 1)
        ),
    ]


def test_four_distinct_orders_answered_200_make_one_connection_at_the_opening():
    assert connections(facts_of(*session(at()))) == [(at(), "eleve", "web", "unknown")]


def test_three_orders_are_a_session_that_was_opened_and_not_authenticated():
    facts = facts_of(*session(at(), calls=2))
    assert facts == [SetAside("opened_not_authenticated", int(at().timestamp()), UAI, "")]


def test_the_same_order_again_is_not_another_one():
    again = [call(at(n), 3, 7, "b" * 32) for n in range(2, 9)]
    facts = facts_of(opening(at(), 3, 7), call(at(1), 3, 7, "a" * 32), *again)
    assert connections(facts) == []
    assert reasons(facts) == {"opened_not_authenticated": 1}


def test_an_order_that_was_not_answered_200_does_not_count_until_it_is():
    refused = call(at(5), 3, 7, "c" * 32, status=403)
    assert connections(facts_of(*session(at(), calls=2), refused)) == []
    assert connections(facts_of(*session(at(), calls=2), refused, call(at(9), 3, 7, "c" * 32))) == [
        (at(), "eleve", "web", "unknown")
    ]


def test_more_orders_add_nothing():
    assert len(connections(facts_of(*session(at(), calls=40)))) == 1


def test_polls_have_orders_and_uploads_have_none():
    polled = [*session(at(), calls=2), call(at(9), 3, 7, "d" * 32, name="appelpolling")]
    uploaded = [*session(at(), calls=2), upload(at(9), 3, 7), upload(at(10), 3, 7)]
    assert len(connections(facts_of(*polled))) == 1
    assert reasons(facts_of(*uploaded)) == {"opened_not_authenticated": 1}


@pytest.mark.parametrize("other", [{"espace": 6}, {"number": 8}, {"host": "0750001u.index-education.net"}])
def test_a_session_is_one_host_espace_and_number(other):
    hits = session(at(), calls=2, host=HOST)
    stray = session(at(5), calls=1, **({"host": HOST} | other))[1]
    facts = read([host_first(hit) for hit in (*hits, stray, END)])
    assert connections(facts) == []
    assert reasons(facts) == {"opened_not_authenticated": 1, "call_without_session": 1}


def test_an_opening_not_answered_200_starts_nothing():
    _, *rest = session(at())
    facts = facts_of(opening(at(), 3, 7, status=502), *rest)
    assert reasons(facts) == {"call_without_session": 4}
    assert connections(facts) == []


def test_an_opening_is_a_post_of_appelfonction():
    polled = [call(at(), 3, 7, first, name="appelpolling") for first in ("3fa959b13967e0ef176069e01e23c8d7",)]
    asked = [Hit(at(), "GET /pronote/appelfonction/3/7/3fa959b13967e0ef176069e01e23c8d7 HTTP/1.1")]
    assert reasons(facts_of(*polled)) == {"call_without_session": 1}
    assert facts_of(*asked) == []


def test_a_gap_of_two_hours_is_no_end_and_of_a_second_more_is():
    kept = [*session(at(), calls=2), call(at(2, hours=2), 3, 7, "c" * 32)]
    lost = [*session(at(), calls=2), call(at(3, hours=2), 3, 7, "c" * 32), call(at(4, hours=2), 3, 7, "d" * 32)]
    assert connections(facts_of(*kept)) == [(at(), "eleve", "web", "unknown")]
    facts = facts_of(*lost)
    assert connections(facts) == []
    assert reasons(facts) == {"opened_not_authenticated": 1, "call_without_session": 2}


@pytest.mark.parametrize(
    "between",
    [
        call(at(minutes=90), 3, 7, "e" * 32, name="appelpolling", status=500),
        upload(at(minutes=90), 3, 7),
        call(at(minutes=90), 3, 7, "e" * 32, status=404),
    ],
)
def test_every_call_of_the_session_bridges_a_gap_whatever_the_answer(between):
    facts = facts_of(*session(at(), calls=2), between, call(at(minutes=180), 3, 7, "c" * 32))
    assert connections(facts) == [(at(), "eleve", "web", "unknown")]


def test_local_midnight_does_not_cut_a_session():
    before = datetime(2026, 11, 20, 22, 59, 50, tzinfo=UTC)  # 23:59:50 in Paris
    facts = facts_of(*session(before, calls=2), call(before.replace(hour=23, minute=30), 3, 7, "c" * 32))
    assert connections(facts) == [(before, "eleve", "web", "unknown")]


def test_a_new_start_ends_the_session_and_its_orders_are_not_added():
    facts = facts_of(*session(at(), calls=2), *session(at(60), calls=2))
    assert connections(facts) == []
    assert reasons(facts) == {"opened_not_authenticated": 2}
    assert len(connections(facts_of(*session(at()), *session(at(60))))) == 2


def test_the_same_second_and_client_again_is_the_same_line():
    first, *rest = session(at())
    assert len(connections(facts_of(first, first, *rest))) == 1
    facts = facts_of(first, opening(at(), 3, 7, address="192.0.2.2"), first, *rest)
    assert len(connections(facts)) == 1
    assert reasons(facts) == {"opened_not_authenticated": 1}


def test_a_second_later_the_same_client_starts_anew():
    first, *rest = session(at(), calls=5)
    facts = facts_of(first, *rest[:1], opening(at(2), 3, 7), *rest[2:])
    assert connections(facts) == [(at(2), "eleve", "web", "unknown")]
    assert reasons(facts) == {"opened_not_authenticated": 1}


def test_calls_without_a_start_are_counted_one_by_one():
    facts = facts_of(call(at(), 3, 7, "a" * 32), call(at(1), 3, 7, "b" * 32, name="appelpolling"), upload(at(2), 3, 7))
    assert facts == [SetAside("call_without_session", int(at(n).timestamp()), UAI, "") for n in range(3)]


def test_it_counts_with_the_opening_s_client_and_channel():
    first, *rest = session(at(), agent=FIREFOX)
    later = [Hit(hit.at, hit.request, address="198.51.100.9", agent=APP) for hit in rest]
    assert connections(facts_of(first, *later)) == [(at(), "eleve", "web", "unknown")]


def test_it_is_counted_when_the_fourth_distinct_order_leaves_the_buffer_and_not_before():
    log = access_log()
    lines = [combined(hit) for hit in session(at())]
    read_at: Any = {"file": "a", "now": at(hours=1).timestamp()}
    assert log.read([*lines, combined(page(at(62)))], **read_at) == []
    assert len(connections(log.read([combined(page(at(63)))], **read_at))) == 1
    assert connections([*log.read([combined(call(at(70), 3, 7, "f" * 32))], **read_at), *log.flush()]) == []


@pytest.mark.parametrize(
    ("espace", "profile", "channel"),
    [
        *[(n, "eleve", c) for n, c in ((3, "web"), (6, "mobile"), (23, "web"), (24, "mobile"))],
        *[(n, "responsable", c) for n, c in ((2, "web"), (7, "mobile"), (20, "web"), (22, "mobile"))],
        *[(n, "accompagnant", c) for n, c in ((25, "web"), (26, "mobile"), (27, "web"), (28, "mobile"))],
        *[(n, "enseignant", c) for n, c in ((1, "web"), (8, "mobile"), (19, "web"), (21, "mobile"))],
        *[(n, "personnel", c) for n, c in ((13, "web"), (14, "mobile"), (16, "web"), (17, "mobile"))],
        *[(n, "personnel", c) for n, c in ((31, "web"), (32, "mobile"), (37, "web"), (38, "mobile"))],
    ],
)
def test_profile_and_channel_of_each_espace(espace, profile, channel):
    assert connections(facts_of(*session(at(), espace=espace))) == [(at(), profile, channel, "unknown")]


def test_the_app_is_mobile_in_any_espace():
    assert connections(facts_of(*session(at(), agent=APP))) == [(at(), "eleve", "mobile", "unknown")]


@pytest.mark.parametrize("espace", [0, 9, 15, 4, 5, 18, 29, 30, 33, 34, 35, 36, 39])
def test_espaces_outside_the_five_profiles(espace):
    assert reasons(facts_of(*session(at(), espace=espace))) == {"outside_profiles": 1}


@pytest.mark.parametrize("espace", [10, 11, 12, 40, 99])
def test_espaces_that_are_not_listed(espace):
    assert reasons(facts_of(*session(at(), espace=espace))) == {"unknown_espace": 1}


SCRIPTS = (
    PRONOTEPY,
    "PRONOTE Mobile APP on Windows NT 10.0",
    "python-requests/2.32.3",
    "pronotepy/2.14",
    "Python/3.12 aiohttp/3.10.5",
    "curl/8.10.1",
)


@pytest.mark.parametrize("agent", SCRIPTS)
def test_scripts_are_counted_apart(agent):
    assert reasons(facts_of(*session(at(), agent=agent))) == {"script": 1}


def test_a_desktop_browser_is_no_script():
    assert "Windows NT" in FIREFOX
    assert len(connections(facts_of(*session(at(), agent=FIREFOX)))) == 1


def test_the_first_reason_that_applies_is_the_one():
    assert reasons(facts_of(*session(at(), agent=PRONOTEPY, calls=0, espace=99))) == {"script": 1}
    assert reasons(facts_of(*session(at(), calls=2, espace=99))) == {"opened_not_authenticated": 1}
    assert reasons(facts_of(*session(at(), calls=2, espace=0))) == {"opened_not_authenticated": 1}


def test_a_session_still_open_at_the_end_of_the_log_is_not_judged():
    assert facts_of(*session(at(), calls=2), page(at(hours=1)), ended=False) == []


def test_a_host_that_is_not_granted():
    lines = [host_first(hit) for hit in session(at(), host="pronote.ailleurs.example")]
    assert read(lines) == [SetAside("other_host", int(at().timestamp()), None, "pronote.ailleurs.example")]
