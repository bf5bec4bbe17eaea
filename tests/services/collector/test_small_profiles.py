"""Profiles of fewer than five accounts: per month, once the month is over (rules.md 5)."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from services.collector.small import SmallProfiles
from tests.services.collector.school import School, activity, connection

SEPTEMBER = "2026-09-10T08:00:00+02:00"
NOVEMBER = "2026-11-19T08:00:00+01:00"


def test_nothing_finer_than_a_month_that_is_over_leaves(school: School) -> None:
    school.write(
        *(
            connection(at, "a1", "accompagnant", channel)
            for at in (SEPTEMBER, NOVEMBER)
            for channel in ("web", "mobile")
        )
    )
    school.read()
    assert set(school.reports()) - {key for key in school.reports() if key[0] == "observed.journal"} == {
        ("web", "month", "2026-09-01"),
        ("people", "month", "2026-09-01"),
        ("people", "school_year", "2026-09-01"),
        ("diagnostics", "month", "2026-09-01"),
        ("diagnostics", "month", "2026-10-01"),
        ("diagnostics", "month", "2026-11-01"),
    }
    assert school.counts("web", "month", "2026-09-01") == {
        "accompagnant.web.direct": 1,
        "accompagnant.mobile.direct": 1,
    }
    assert school.counts("people", "month", "2026-09-01")["accompagnant.net.any"] == 1
    assert school.counts("people", "school_year", "2026-09-01")["accompagnant.net.any"] == 1
    assert school.counts("diagnostics", "month", "2026-11-01") == {"accompagnant": 1}


def test_others_leave_as_usual_without_them(school: School) -> None:
    school.write(connection(NOVEMBER, "a1", "accompagnant"), connection(NOVEMBER, "t1", "enseignant", "web", "ent"))
    school.read()
    assert school.counts("web", "hour", "2026-11-19T08:00+01:00") == {"adults.web": 1}
    assert school.counts("web", "day", "2026-11-19") == {"enseignant.web.ent": 1}
    assert school.counts("web", "month", "2026-11-01") == {}
    for grain, start in (("day", "2026-11-19"), ("month", "2026-11-01"), ("school_year", "2026-09-01")):
        assert not [cell for cell in school.counts("people", grain, start) if cell.startswith("accompagnant")]


def test_a_month_leaves_with_the_first_turn_after_it_is_over(school: School) -> None:
    school.write(
        connection(SEPTEMBER, "a1", "accompagnant"),
        connection(NOVEMBER, "a1", "accompagnant", "mobile", "ent"),
        connection(NOVEMBER, "a2", "accompagnant", "mobile", "ent"),
    )
    school.read()
    school.now = datetime(2026, 11, 30, 22, 59, 59, tzinfo=UTC)
    school.read()
    assert school.counts("web", "month", "2026-11-01") == {}
    school.now = datetime(2026, 11, 30, 23, tzinfo=UTC)
    school.read()
    assert school.counts("web", "month", "2026-11-01") == {"accompagnant.mobile.ent": 2}
    assert school.counts("people", "month", "2026-11-01")["accompagnant.mobile.any"] == 2
    assert school.counts("people", "school_year", "2026-09-01") == {
        "accompagnant.web.any": 1, "accompagnant.net.any": 2, "accompagnant.mobile.any": 2,
        "accompagnant.net.ent": 2, "accompagnant.mobile.ent": 2,
    }  # fmt: skip
    assert school.store.sets(1, "held") == []


def test_late_lines_of_a_month_that_is_over_update_month_and_year_at_once(school: School) -> None:
    school.write(connection("2026-10-10T08:00:00+02:00", "a1", "accompagnant"))
    school.read()
    school.acknowledge()
    school.write(connection("2026-10-11T08:00:00+02:00", "a2", "accompagnant"))
    school.read()
    assert school.counts("web", "month", "2026-10-01") == {"accompagnant.web.direct": 2}
    assert school.counts("people", "month", "2026-10-01")["accompagnant.web.any"] == 2
    assert school.counts("people", "school_year", "2026-09-01")["accompagnant.web.any"] == 2


def test_in_an_ecole_teachers_and_staff_too(make_school) -> None:
    school = make_school(type="École élémentaire")
    school.write(
        connection(NOVEMBER, "t1", "enseignant", "software"),
        connection(NOVEMBER, "p1", "personnel"),
        connection(NOVEMBER),
    )
    school.read()
    assert school.counts("web", "day", "2026-11-19") == {"eleve.web.direct": 1}
    assert school.counts("software", "day", "2026-11-19") == {}
    assert set(school.counts("diagnostics", "month", "2026-11-01")) == {"accompagnant", "enseignant", "personnel"}
    school.now = datetime(2026, 12, 1, tzinfo=UTC)
    school.read()
    assert school.counts("software", "month", "2026-11-01") == {"enseignant.software.direct": 1}
    assert school.counts("people", "month", "2026-11-01")["enseignant.any.any"] == 1


def test_a_census_applies_from_its_month_on() -> None:
    small = SmallProfiles("college", {date(2026, 10, 1): (), date(2026, 12, 1): ("personnel",)})
    found = [set(small.of_month(date(2026, month, 1))) for month in (9, 10, 11, 12)]
    assert found == [{"accompagnant"}, set(), set(), {"personnel"}]


def test_a_small_profile_is_announced_as_soon_as_a_month_is_observed(school: School) -> None:
    school.write(activity(NOVEMBER, "forums"))
    school.read()
    assert ("diagnostics", "month", "2026-11-01") in school.reports()


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_person_of_two_months_counts_once_in_the_year(school: School, turns: int) -> None:
    lines = [connection(at, "a1", "accompagnant") for at in (SEPTEMBER, "2026-10-10T08:00:00+02:00", NOVEMBER)]
    for place in range(0, 3, 4 - turns):
        school.write(*lines[place : place + 4 - turns])
        school.read()
        school.restart()
    school.now = datetime(2026, 12, 2, tzinfo=UTC)
    school.read()
    assert school.counts("people", "school_year", "2026-09-01")["accompagnant.net.any"] == 1
    assert school.counts("people", "month", "2026-11-01")["accompagnant.net.any"] == 1
