"""Distinct people: scopes, windows, patience, and nothing kept that says who (rules.md 5)."""

from __future__ import annotations

import random
import sqlite3
from datetime import UTC, datetime, timedelta

from services.collector.people import SetKey, set_key
from tests.services.collector.school import UAI, School, connection, heartbeat


def test_scopes_are_never_added_up(school: School) -> None:
    at = "2026-11-19T08:00:00+01:00"
    school.write(
        connection(at, "t1", "enseignant", "web", "ent"),
        connection(at, "t1", "enseignant", "mobile", "direct"),
        connection(at, "t1", "enseignant", "software"),
        connection(at, "t2", "enseignant", "software"),
        connection(at, "t3", "enseignant", "mobile", "unknown"),
        connection(at, "t1", "eleve", "mobile", "ent"),
    )
    school.read()
    expected = {
        "enseignant.web.any": 1, "enseignant.mobile.any": 2, "enseignant.net.any": 2, "enseignant.software.any": 2,
        "enseignant.any.any": 3, "enseignant.web.ent": 1, "enseignant.net.ent": 1,
        "eleve.mobile.any": 1, "eleve.net.any": 1, "eleve.mobile.ent": 1, "eleve.net.ent": 1,
    }  # fmt: skip
    for grain, start in (("day", "2026-11-19"), ("month", "2026-11-01"), ("school_year", "2026-09-01")):
        assert school.counts("people", grain, start) == expected


def test_a_person_counts_once_per_window_whatever_the_turns(school: School) -> None:
    for day in ("2026-10-30", "2026-11-02", "2026-11-03"):
        for _ in range(2):
            school.write(
                connection(f"{day}T08:00:00+01:00", "u1"), connection(f"{day}T09:00:00+01:00", "u1", access="ent")
            )
            school.read()
            school.restart()
    assert school.counts("people", "day", "2026-11-03")["eleve.web.any"] == 1
    assert school.counts("people", "month", "2026-11-01") == {
        "eleve.web.any": 1, "eleve.net.any": 1, "eleve.web.ent": 1, "eleve.net.ent": 1,
    }  # fmt: skip
    assert school.counts("people", "school_year", "2026-09-01")["eleve.net.ent"] == 1


def test_who_is_text_as_it_stands(school: School) -> None:
    names = ("Zoé", "zoé", "Zoe\u0301", " Zoé", "0", "00")
    school.write(*(connection("2026-11-19T08:00:00+01:00", who) for who in names))
    assert school.read().counts("people", "day", "2026-11-19")["eleve.web.any"] == len(names)


def test_a_late_line_adds_its_connection_and_leaves_purged_people_as_they_are(school: School) -> None:
    """Patience is counted in the source's own time: 7 days after a day, 31 after a month."""
    school.write(
        connection("2026-09-10T08:00:00+02:00", "u1"),
        connection("2026-09-18T00:00:00+02:00", "u2"),
        connection("2026-09-10T09:00:00+02:00", "in time"),
        connection("2026-09-18T00:00:01+02:00", "u2"),
        connection("2026-09-10T10:00:00+02:00", "late for the day"),
        heartbeat("2026-11-01T00:00:01+01:00"),
        connection("2026-09-10T11:00:00+02:00", "late for the month"),
    )
    school.read()
    assert school.counts("web", "day", "2026-09-10")["eleve.web.direct"] == 4
    assert school.counts("people", "day", "2026-09-10")["eleve.web.any"] == 2
    assert school.counts("people", "month", "2026-09-01")["eleve.web.any"] == 4
    assert school.counts("people", "school_year", "2026-09-01")["eleve.web.any"] == 5


def test_history_read_after_live_lines_opens_its_sets_late(school: School) -> None:
    """A set of which no line had come was never purged. Once open it is kept for the same patience, by the agent's clock."""
    school.write(connection("2026-11-20T08:00:00+01:00", "live"))
    school.read()
    school.write(*(connection("2026-09-10T08:00:00+02:00", f"u{n}") for n in range(3)))
    school.read()
    school.restart()
    school.now += timedelta(days=7)
    school.write(connection("2026-11-27T08:00:00+01:00", "live"), connection("2026-09-10T08:00:00+02:00", "u3"))
    school.read()
    assert school.counts("people", "day", "2026-09-10")["eleve.web.any"] == 4
    school.now += timedelta(seconds=1)
    school.read()
    school.write(connection("2026-09-10T08:00:00+02:00", "u4"))
    school.read()
    assert school.counts("people", "day", "2026-09-10")["eleve.web.any"] == 4
    assert school.counts("people", "month", "2026-09-01")["eleve.web.any"] == 5


def test_patience_does_not_depend_on_where_the_reading_was_cut(make_school) -> None:
    lines = [
        connection("2026-09-10T08:00:00+02:00", "u1"),
        connection("2026-09-19T00:00:00+02:00", "u2"),
        connection("2026-09-10T10:00:00+02:00", "u3"),
    ]
    whole, cut = make_school(), make_school()
    whole.write(*lines)
    for each in lines:
        cut.write(each)
        cut.read()
        cut.restart()
    assert whole.read().states() == cut.states()


def test_what_is_purged_is_gone_from_the_file(school: School) -> None:
    school.write(connection("2026-09-10T08:00:00+02:00", "u1"))
    school.read()
    sets = {(profile, start.isoformat()) for _, profile, start in school.store.sets(1, "day")}
    assert sets == {("eleve", "2026-09-10")}
    of_the_day = min(school.store.masks(school.store.sets(1, "day")[0][0])).to_bytes(8, "big", signed=True)
    assert of_the_day in _bytes_of_the_state(school)
    school.write(heartbeat("2026-11-19T08:00:00+01:00"))
    school.read()
    assert school.store.sets(1, "day") == []
    assert school.store.sets(1, "month") == []
    assert len(school.store.sets(1, "school_year")) == 1
    assert of_the_day not in _bytes_of_the_state(school)


def _bytes_of_the_state(school: School) -> bytes:
    """The file and its journal, in which SQLite keeps what it replaced until the next checkpoint."""
    return b"".join(path.read_bytes() for path in school.folder.glob("agent.sqlite*"))


def test_digests_of_two_windows_cannot_be_linked(school: School) -> None:
    school.write(connection("2026-11-19T08:00:00+01:00", "u1"))
    school.read()
    rows = sqlite3.connect(school.folder / "agent.sqlite").execute("SELECT digest FROM person").fetchall()
    assert len({digest for (digest,) in rows}) == 3
    day, other = (SetKey("eleve", "day", datetime(2026, 11, n, tzinfo=UTC).date()) for n in (19, 20))
    assert day.digest_key(b"s", UAI) != other.digest_key(b"s", UAI)
    assert set_key(b"s", UAI, "eleve", "day", "x") != set_key(b"t", UAI, "eleve", "day", "x")


def test_renaming_and_permuting_people_changes_no_byte(make_school) -> None:
    rng = random.Random(20261120)
    people = [(f"canary-{place}", profile) for place, profile in enumerate(("eleve", "responsable", "enseignant") * 12)]
    visits = [
        (
            f"2026-{rng.choice(('10', '11'))}-{rng.randrange(1, 20):02}T{rng.randrange(24):02}:00:00Z",
            *rng.choice(people),
            rng.choice(("web", "mobile")),
        )
        for _ in range(400)
    ]
    names = {who: f"other {place} é" for place, (who, _) in enumerate(rng.sample(people, len(people)))}
    one, other = make_school(), make_school()
    one.write(*(connection(at, who, profile, channel) for at, who, profile, channel in visits))
    other.write(*(connection(at, names[who], profile, channel) for at, who, profile, channel in visits))
    assert one.read().reports() == other.read().reports()


def test_names_are_nowhere_in_the_state(school: School) -> None:
    school.write(*(connection("2026-11-19T08:00:00+01:00", f"canary-{n}") for n in range(50)), "rubbish canary-51")
    school.read()
    school.restart()
    for path in school.folder.glob("agent.sqlite*"):
        assert b"canary" not in path.read_bytes()


def test_many_people_are_counted_exactly_when_memory_is_given_back(school: School, monkeypatch) -> None:
    monkeypatch.setattr("services.collector.counting.MOST_NAMES", 20)
    monkeypatch.setattr("services.collector.reading.COMMIT_BYTES", 4000)
    monkeypatch.setattr("services.collector.files.BLOCK", 1000)
    days = [f"2026-11-{day:02}T08:00:00+01:00" for day in (16, 17, 18)]
    school.write(*(connection(day, f"u{n}") for day in days for n in range(150) for _ in range(2)))
    school.read()
    assert [school.counts("people", "day", day[:10])["eleve.web.any"] for day in days] == [150] * 3
    assert school.counts("people", "month", "2026-11-01")["eleve.web.any"] == 150
