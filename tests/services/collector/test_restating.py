"""`agent restate`: whole periods counted again under a new restatement, all of it or nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from services.collector.restating import Recounting
from tests.services.collector.school import School, activity, connection, heartbeat

SINCE = date(2026, 11, 10)


def _recount(school: School, restatement: int = 1_000) -> list[int]:
    settings = school.service.settings
    return Recounting(settings, 1, school.store, since=SINCE, restatement=restatement).recount(school.now)


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
    assert _recount(school) == []
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
    assert len(_recount(school)) == 1, "the head changed with it: the known file is gone"
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
    assert _recount(school) == []
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
    monkeypatch.setattr(Recounting, "_commit", lambda *_: 1 / 0)
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
    settings = school.service.settings
    Recounting(settings, 1, school.store, since=date(2027, 1, 20), restatement=1_000).recount(school.now)
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
    assert _recount(school) == []
    assert school.states() == before


def test_a_file_that_gives_less_than_before_is_told(school: School) -> None:
    path = school.write(*(connection("2026-11-12T08:00:00+01:00", f"u{n}") for n in range(60)))
    school.read()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:40]))
    assert len(_recount(school)) == 1
    assert school.counts("web", "day", "2026-11-12") == {"eleve.web.direct": 40}


def test_a_restatement_is_on_the_disk_before_it_is_published(school: School) -> None:
    """Lost with the machine's power once Kafka has it, every later report of these periods would be ignored as a lower one."""
    _filled(school)
    _recount(school)
    assert (school.folder / "agent.sqlite-wal").stat().st_size == 0
