"""Which lines count, and why the others are set aside (rules.md 3)."""

from __future__ import annotations

import pytest

from tests.services.collector.school import School, activity, connection, heartbeat, line

AT = "2026-11-19T08:12:31+01:00"
DAY = "2026-11-19"

SET_ASIDE = {
    "unreadable": [
        "not json",
        "[1, 2]",
        "12",
        '{"at": "2026-11-19T08:12:31+01:00", "kind": "heartbeat"',
        '{"at": "2026-11-19T08:12:31+01:00", "kind": "heartbeat", "x": NaN}',
        '{"kind": "heartbeat"}',
        '{"at": 12, "kind": "heartbeat"}',
        '{"at": "yesterday", "kind": "heartbeat"}',
        '{"at": "2026-02-30T08:00:00+01:00", "kind": "heartbeat"}',
        '{"at": "2026-11-19T08:12:31+01:00", "kind": "heartbeat", "x": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"at": "2026-11-19T08:12:31+01:00", "kind": "heartbeat", "x": "' + "y" * 65536 + '"}',
        '10.0.0.1 - - [19/Nov/2026:08:12:31 +0100] "POST /appelfonction/3/1/0 HTTP/1.1" 200 12',
    ],
    "no_offset": [heartbeat("2026-11-19T08:12:31"), connection("2026-11-19"), connection("2026-11-19T08:12")],
    "future": [heartbeat("2026-11-21T12:00:01Z"), connection("2036-01-01T00:00:00Z", profile="?")],
    "too_old": [
        heartbeat("2025-08-31T23:59:59+02:00"),
        connection("1970-01-01T00:00:00Z"),
        connection("0001-01-01T00:00:00+14:00"),
    ],
    "unknown_kind": [line(AT), line(AT, kind="visit"), line(AT, kind=3), line(AT, kind=None)],
    "unknown_profile": [
        connection(AT, profile="pirate", who="", channel="?"),
        connection(AT, profile="Eleve"),
        line(AT, kind="connection", who="u", channel="web", access="ent"),
        line(AT, kind="connection", who="u", profile=["eleve"], channel="web", access="ent"),
    ],
    "no_who": [
        connection(AT, who="", channel="?"),
        line(AT, kind="connection", profile="eleve", channel="web", access="ent"),
        line(AT, kind="connection", who=None, profile="eleve", channel="web", access="ent"),
        line(AT, kind="connection", who=12, profile="eleve", channel="web", access="ent"),
    ],
    "unknown_channel_or_access": [
        connection(AT, channel="fax"),
        connection(AT, access="sso"),
        line(AT, kind="connection", who="u", profile="eleve", channel="web"),
        connection(AT, channel="software", access="?"),
    ],
    "channel_not_for_profile": [
        connection(AT, channel="software"),
        connection(AT, profile="accompagnant", channel="software"),
        connection(AT, profile="enseignant", channel="software", access="ent"),
    ],
    "unknown_measure": [activity(AT, "coffees", n=0), line(AT, kind="activity"), line(AT, kind="activity", measure=1)],
    "bad_n": [activity(AT, "forums", n=n) for n in (0, -1, 1_000_001, 1.0, 1.5, "3", True, None, [1], 10**30)],
}


@pytest.mark.parametrize("reason", SET_ASIDE)
def test_lines_are_set_aside_by_reason_and_stop_nothing(school: School, reason: str) -> None:
    school.write(*SET_ASIDE[reason], connection(AT))
    school.read()
    assert school.set_aside() == {reason: len(SET_ASIDE[reason])}
    assert school.counts("diagnostics", "day", "2026-11-20") == school.set_aside()
    assert school.counts("web", "day", DAY) == {"eleve.web.direct": 1}


def test_invalid_utf_8_is_unreadable_wherever_it_stands(school: School) -> None:
    (school.folder / "journal.ndjson").write_bytes(
        connection(AT, ignored="§").encode("latin-1").replace(b"\\u00a7", b"\xa7")
        + b"\n"
        + connection(AT).encode()
        + b"\n"
    )
    school.read()
    assert school.set_aside() == {"unreadable": 1}
    assert school.counts("web", "day", DAY) == {"eleve.web.direct": 1}


def test_bom_crlf_and_blank_lines_are_nothing(school: School) -> None:
    text = "\ufeff" + connection(AT) + "\r\n\r\n   \t\r\n\n" + connection(AT, who="u2") + "\r\n"
    (school.folder / "journal.ndjson").write_bytes(text.encode())
    school.read()
    assert school.set_aside() == {}
    assert school.counts("web", "day", DAY) == {"eleve.web.direct": 2}


def test_a_line_of_64_kib_counts_and_one_byte_more_does_not(school: School) -> None:
    fits = connection(AT, who="w" * (65536 - len(connection(AT, who=""))))
    assert len(fits) == 65536
    school.write(fits, fits + " ", fits + "\r", fits)
    school.read()
    assert school.set_aside() == {"unreadable": 1}
    assert school.counts("web", "day", DAY) == {"eleve.web.direct": 3}


@pytest.mark.parametrize(
    "at",
    [
        "2026-11-19T08:12:31Z",
        "2026-11-19T10:12+02:00",
        "2026-11-19 08:12:31.123456789+00:00",
        "20261119T081231Z",
        "2026-11-18T22:12:31-10:00",
        "2026-11-19T08:12:31,5+0000",
    ],
)
def test_only_the_instant_matters(school: School, at: str) -> None:
    school.write(connection(at))
    school.read()
    assert school.counts("web", "hour", "2026-11-19T09:00+01:00") == {"families.web": 1}


def test_a_line_24_hours_ahead_counts(school: School) -> None:
    school.write(connection("2026-11-21T12:00:00Z"))
    assert school.read().counts("web", "day", "2026-11-21") == {"eleve.web.direct": 1}


def test_n_is_ignored_on_connections_and_unknown_fields_everywhere(school: School) -> None:
    school.write(
        connection(AT, n="many", level=3, colour="red", measure=["x"]), activity(AT, "forums", who=4, profile=None)
    )
    school.read()
    assert school.set_aside() == {}
    assert school.counts("web", "day", DAY) == {"eleve.web.direct": 1}


def test_equal_lines_are_two_facts_and_n_adds_up(school: School) -> None:
    school.write(
        connection(AT), connection(AT), activity(AT, "forums", level="6EME", n=3), activity(AT, "forums", level="6EME")
    )
    school.read()
    assert school.counts("web", "day", DAY) == {"eleve.web.direct": 2}
    assert school.counts("activities.scolarite", "day", DAY) == {"forums.6EME": 4}


def test_no_level_or_an_unknown_one_is_the_other_level(school: School) -> None:
    levels = ("9EME", "AUTRE", None, 5, "")
    school.write(activity(AT, "messages"), *(activity(AT, "messages", level=level) for level in levels))
    assert school.read().counts("activities.communications", "day", DAY) == {"messages.AUTRE": 6}


def test_the_desktop_client_has_one_access(school: School) -> None:
    school.write(
        *(connection(AT, profile="enseignant", channel="software", access=access) for access in ("direct", "unknown"))
    )
    school.read()
    assert school.counts("software", "day", DAY) == {"enseignant.software.direct": 2}
    assert school.counts("software", "hour", "2026-11-19T08:00+01:00") == {"adults.software": 2}
