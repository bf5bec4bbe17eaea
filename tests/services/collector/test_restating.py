"""`agent restate`: whole periods counted again under a new restatement, all of it or nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from services.collector.restating import Recount, Restating, _Journal
from tests.services.collector.school import School, activity, connection, heartbeat

SINCE = date(2026, 11, 10)


def _recount(school: School, restatement: int = 1_000, since: date = SINCE) -> Recount:
    return Restating(school.service.settings, 1, school.store, since, restatement).run(school.now)


NOTHING_GONE = Recount([], [], [])


def _filled(school: School) -> School:
    for day in ("2026-10-05", "2026-11-02", "2026-11-12", "2026-11-19"):
        school.write(
            connection(f"{day}T08:00:00+01:00", "u1"),
            connection(f"{day}T08:00:00+01:00", f"u-{day}", "accompagnant"),
            activity(f"{day}T09:00:00+01:00", "forums"),
            "rubbish",
        )
    return school.read()


def test_nothing_changes_but_the_restatement_where_sources_say_the_same(school: School) -> None:
    before = _filled(school).states()
    assert _recount(school) == NOTHING_GONE
    assert school.states() == before
    restated = {key for key, report in school.reports().items() if report.restatement == 1_000}
    families = {"web", "people", "activities.scolarite"}
    assert restated == {
        key for key in before if key[0] in families and (key[1] == "school_year" or key[2][:10] >= ("2026-11-01" if key[1] == "month" else "2026-11-10"))
    }  # fmt: skip


def test_what_the_source_no_longer_says_goes_to_zero_since_the_date_only(school: School) -> None:
    _filled(school)
    school.acknowledge()
    path = school.folder / "journal.ndjson"
    text = path.read_text()
    path.write_text(text.replace('"who": "u1", "profile": "eleve"', '"who": "u1", "profile": "elevX"'))
    assert _recount(school).files_gone == [1], "the head changed with it: the known file is gone"
    assert school.counts("web", "day", "2026-11-12") == {"eleve.web.direct": 0}
    assert ("web", "day", "2026-11-02") not in school.reports()
    assert school.counts("people", "month", "2026-11-01")["eleve.web.any"] == 0


def test_corrected_lines_after_the_beginning_are_counted_as_they_are_now(school: School) -> None:
    school.write(*(connection(f"2026-11-{day:02}T08:00:00+01:00", f"u{n}") for day in (2, 12) for n in range(40)))
    school.read()
    school.acknowledge()
    path = school.folder / "journal.ndjson"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-10], *(each.replace('"web"', '"fax"') for each in lines[-10:])]) + "\n")
    assert _recount(school) == NOTHING_GONE
    assert school.counts("web", "day", "2026-11-12") == {"eleve.web.direct": 30}
    assert school.counts("people", "day", "2026-11-12")["eleve.web.any"] == 30
    assert school.counts("people", "month", "2026-11-01")["eleve.web.any"] == 40


def test_lines_that_come_after_are_counted_once(school: School) -> None:
    _filled(school)
    _recount(school)
    school.write(connection("2026-11-12T10:00:00+01:00", "u9"), connection("2026-10-05T10:00:00+02:00", "u9"))
    school.read()
    assert school.counts("web", "day", "2026-11-12") == {"eleve.web.direct": 2}
    assert school.counts("people", "school_year", "2026-09-01")["eleve.web.any"] == 2


def test_sets_that_were_purged_are_counted_again(school: School) -> None:
    _filled(school)
    school.now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    school.write(heartbeat("2026-11-27T11:00:00Z"))
    school.read()
    assert school.store.sets(1, "day") == []
    school.acknowledge()
    _recount(school)
    assert school.counts("people", "day", "2026-11-12")["eleve.web.any"] == 1
    assert school.counts("people", "day", "2026-11-02") == {}


def test_a_small_profile_stays_held(school: School) -> None:
    _filled(school)
    _recount(school)
    assert school.counts("web", "month", "2026-11-01") == {}
    assert school.counts("people", "school_year", "2026-09-01")["accompagnant.web.any"] == 1
    school.now = datetime(2026, 12, 2, tzinfo=UTC)
    school.read()
    assert school.counts("web", "month", "2026-11-01") == {"accompagnant.web.direct": 3}
    assert school.counts("people", "school_year", "2026-09-01")["accompagnant.web.any"] == 4


def test_all_or_nothing(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _filled(school).states()
    monkeypatch.setattr(_Journal, "_commit", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _recount(school)
    assert school.states() == before


def test_days_that_were_dropped_still_count_in_the_school_year(school: School) -> None:
    _filled(school)
    school.acknowledge()
    school.now = datetime(2027, 1, 25, 12, tzinfo=UTC)
    school.write(connection("2027-01-25T08:00:00+01:00", "u1"), connection("2027-01-25T08:00:00+01:00", "u2"))
    school.read()
    school.read()
    assert school.store.dropped_days(1), "the days of the autumn were dropped"
    _recount(school, since=date(2027, 1, 20))
    year = school.counts("people", "school_year", "2026-09-01")
    assert year["accompagnant.web.any"] == 4
    assert ("web", "day", "2026-11-12") not in school.reports()


def test_a_shorter_copy_does_not_stand_for_the_whole_file(school: School) -> None:
    school.write(*(connection("2026-11-12T08:00:00+01:00", f"u{n}") for n in range(60)), name="journal.2")
    school.read()
    whole = (school.folder / "journal.2").read_bytes()
    copy = b"".join(whole.splitlines(keepends=True)[:40])
    (school.folder / "journal.1").write_bytes(copy)
    school.read()
    before = school.states()
    assert _recount(school) == NOTHING_GONE
    assert school.states() == before


def test_a_day_of_which_lines_are_gone_stays_as_it_was(school: School) -> None:
    path = school.write(*(connection("2026-11-12T08:00:00+01:00", f"u{n}") for n in range(60)))
    school.read()
    before = school.states()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:40]))
    done = _recount(school)
    assert (done.files_gone, done.days_gone) == ([1], [date(2026, 11, 12)])
    assert done.periods_left == [("month", date(2026, 11, 1)), ("school_year", date(2026, 9, 1))]
    assert school.states() == before
    assert {report.restatement for report in school.reports().values()} == {0}


def test_rotated_away_days_stay_and_the_others_are_counted_as_the_sources_say(school: School) -> None:
    for day in (11, 12, 13, 14):
        school.write(*(connection(f"2026-11-{day}T08:00:00+01:00", f"u{n}") for n in range(3)), name=f"journal.{day}")
    school.read()
    school.acknowledge()
    (school.folder / "journal.11").unlink()
    (school.folder / "journal.12").unlink()
    path = school.folder / "journal.14"
    path.write_bytes(path.read_bytes().replace(b'"web"', b'"fax"'))
    school.service.source.close()
    done = _recount(school)
    assert done.days_gone == [date(2026, 11, 11), date(2026, 11, 12), date(2026, 11, 13)]
    assert school.counts("web", "day", "2026-11-14") == {"eleve.web.direct": 0}
    assert ("web", "day", "2026-11-12") not in school.reports()
    assert ("people", "month", "2026-11-01") not in school.reports()


def _dropped(school: School) -> None:
    """A day in November, told and forgotten, and one in January that is not."""
    school.write(
        connection("2026-11-02T08:00:00+01:00", "u1"),
        connection("2026-11-02T08:00:00+01:00", "u2"),
        activity("2026-11-02T09:00:00+01:00", "forums"),
    )
    school.read().acknowledge()
    school.now = datetime(2027, 1, 25, 12, tzinfo=UTC)
    school.write(connection("2027-01-25T08:00:00+01:00", "u1"))
    school.read()
    school.read().acknowledge()
    assert date(2026, 11, 2) in school.store.dropped_days(1)


def test_a_dropped_day_that_the_sources_still_tell_is_replaced_to_zero_if_need_be(school: School) -> None:
    _dropped(school)
    path = school.folder / "journal.ndjson"
    path.write_bytes(
        path.read_bytes().replace(b'"who": "u2", "profile": "eleve"', b'"who": "u2", "profile": "elevE"', 1)
    )
    text = path.read_bytes().replace(b'"measure": "forums"', b'"measure": "forumZ"')
    path.write_bytes(text)
    school.service.source.close()
    done = _recount(school, since=date(2026, 11, 1))
    assert done.days_gone == []
    reports = school.reports()
    assert school.counts("web", "day", "2026-11-02") in ({}, {"eleve.web.direct": 1})
    forums = reports["activities.scolarite", "day", "2026-11-02"]
    assert (forums.restatement, sum(forums.counts)) == (1_000, 0), "whatever the platform holds of it is replaced"
    assert reports["web", "hour", "2026-11-02T08:00+01:00"].restatement == 1_000
    assert date(2026, 11, 2) not in school.store.dropped_days(1)
    school.read()
    assert school.counts("web", "day", "2026-11-02") == {"eleve.web.direct": 1}


def test_a_dropped_day_that_nothing_tells_any_more_is_left_alone(school: School) -> None:
    _dropped(school)
    path = school.folder / "journal.ndjson"
    path.rename(school.folder / "elsewhere")
    done = _recount(school, since=date(2026, 11, 1))
    assert date(2026, 11, 2) in done.days_gone
    assert {key for key in school.reports() if key[0] in {"web", "people"}} == set()
    assert date(2026, 11, 2) in school.store.dropped_days(1)


def test_a_restatement_is_on_the_disk_before_it_is_published(school: School) -> None:
    """Lost with the machine's power once Kafka has it, every later report of these periods would be ignored as a lower one."""
    _filled(school)
    _recount(school)
    assert (school.folder / "agent.sqlite-wal").stat().st_size == 0


def test_a_state_of_the_version_before_is_brought_up_to_date(school: School) -> None:
    _dropped(school)
    school.store._connection.execute("ALTER TABLE dropped_day DROP COLUMN counted")
    school.store._connection.execute("PRAGMA user_version = 1")
    school.restart()
    assert date(2026, 11, 2) in school.store.restatements.dropped(1)
