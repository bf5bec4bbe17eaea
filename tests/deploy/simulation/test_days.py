"""One day of an establishment: its size, its shape, its hours on the nights when clocks change."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from contracts.catalogue import CATALOGUE
from deploy.local.simulation.activities import ACTIVITIES
from deploy.local.simulation.population import population
from deploy.local.simulation.schooldays import Kind, kind_of
from deploy.local.simulation.territory import ESTABLISHMENTS
from deploy.local.simulation.traffic import Day, day_of
from tests.deploy.simulation.reading import complaint, instant

SEED = 5
THURSDAY = date(2026, 11, 19)


def day(when: date, place: int = 0, seed: int = SEED) -> Day:
    return day_of(ESTABLISHMENTS[place], when, seed)


def parsed(when: date, place: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in day(when, place).lines]


def visits(when: date) -> Counter[str]:
    """Connections of the whole territory by profile."""
    facts = [fact for place in range(len(ESTABLISHMENTS)) for fact in parsed(when, place)]
    return Counter(fact["profile"] for fact in facts if fact["kind"] == "connection")


def test_a_day_depends_on_the_seed_the_college_and_the_date_only():
    assert day(THURSDAY).lines == day(THURSDAY).lines
    assert day(THURSDAY).lines != day(THURSDAY, seed=SEED + 1).lines
    assert day(THURSDAY).lines != day(THURSDAY, place=1).lines


def test_every_line_is_what_the_format_asks_for():
    measures = {m.measure for m in ACTIVITIES}
    levels = {"6EME", "5EME", "4EME", "3EME"}
    facts = parsed(THURSDAY)
    assert {complaint(fact, measures, levels) for fact in facts} == {""}
    assert {fact["kind"] for fact in facts} == {"connection", "activity", "heartbeat"}
    assert [instant(fact) for fact in facts] == sorted(instant(fact) for fact in facts)


def test_each_measure_that_a_journal_may_hold_has_a_rate_and_no_other():
    counted = {cell.measure for cell in CATALOGUE.cells.values() if cell.family.startswith("activities.")}
    assert {activity.measure for activity in ACTIVITIES} == counted
    assert len(ACTIVITIES) == len(counted)


def test_a_working_day_has_about_one_connection_per_account_in_the_published_shares():
    seen = visits(THURSDAY)
    accounts = sum(len(population(establishment, 2026, SEED).people.who) for establishment in ESTABLISHMENTS)
    assert 0.85 < seen.total() / accounts < 1.2
    shares = {profile: count / seen.total() for profile, count in seen.items()}
    assert shares["eleve"] == pytest.approx(0.40, abs=0.03)
    assert shares["responsable"] == pytest.approx(0.37, abs=0.03)
    assert shares["enseignant"] == pytest.approx(0.19, abs=0.03)
    assert shares["personnel"] == pytest.approx(0.03, abs=0.015)


def test_pupils_and_parents_come_by_smartphone_as_published():
    facts = [fact for place in range(len(ESTABLISHMENTS)) for fact in parsed(THURSDAY, place) if "channel" in fact]
    mobile = Counter(fact["profile"] for fact in facts if fact["channel"] == "mobile")
    total = Counter(fact["profile"] for fact in facts)
    assert mobile["eleve"] / total["eleve"] == pytest.approx(0.54, abs=0.04)
    assert mobile["responsable"] / total["responsable"] == pytest.approx(0.82, abs=0.04)


def test_only_a_college_with_an_ent_is_reached_through_one():
    for place, establishment in enumerate(ESTABLISHMENTS):
        through = sum(fact.get("access") == "ent" for fact in parsed(THURSDAY, place))
        assert (through > 100) == establishment.ent


@pytest.mark.parametrize("year", [2025, 2026])
def test_colleges_have_the_published_sizes(year: int):
    for establishment in (each for each in ESTABLISHMENTS if each.kind == "college"):
        crowd = population(establishment, year, SEED)
        guardians = int((crowd.people.profile == 1).sum())
        assert 430 <= sum(crowd.pupils) <= 830
        assert 34 <= crowd.teachers <= 82
        assert guardians / sum(crowd.pupils) == pytest.approx(1.77, abs=0.02)
        assert len(set(crowd.people.who)) == len(crowd.people.who)


def test_pupils_stay_four_years_and_teachers_stay():
    before = set(population(ESTABLISHMENTS[0], 2025, SEED).people.who)
    now = population(ESTABLISHMENTS[0], 2026, SEED).people
    kept = dict.fromkeys(range(5), 0)
    for who, profile in zip(now.who, now.profile.tolist(), strict=True):
        kept[profile] += who in before
    assert kept[3] == int((now.profile == 3).sum())
    assert 0.7 < kept[0] / int((now.profile == 0).sum()) < 0.8


def test_nights_week_ends_and_holidays_are_quieter_each_in_its_way():
    thursday, wednesday, sunday = visits(THURSDAY), visits(date(2026, 11, 18)), visits(date(2026, 11, 22))
    holiday, summer = visits(date(2026, 10, 22)), visits(date(2026, 7, 29))
    assert thursday.total() > wednesday.total() > sunday.total() > holiday.total() > summer.total() > 0
    assert sunday["personnel"] < holiday["personnel"]
    hours = Counter(instant(fact).hour for fact in parsed(THURSDAY) if fact["kind"] == "connection")
    assert sum(hours[hour] for hour in range(5)) < 0.02 * hours.total()
    assert sum(hours[hour] for hour in range(7, 20)) > 0.75 * hours.total()


def test_school_life_registers_nothing_on_a_day_without_lessons():
    registered = {"absence_half_days", "lateness", "punishments"}
    assert registered <= {fact.get("measure") for fact in parsed(THURSDAY)}
    for idle in (date(2026, 11, 22), date(2026, 10, 22), date(2026, 11, 11)):
        assert not registered & {fact.get("measure") for fact in parsed(idle)}


def test_the_calendar_is_the_real_one_of_each_zone():
    assert kind_of(date(2026, 2, 10), "A") is Kind.HOLIDAY
    assert kind_of(date(2026, 2, 10), "B") is Kind.LESSONS
    assert kind_of(date(2026, 2, 24), "B") is Kind.HOLIDAY
    assert kind_of(date(2026, 2, 24), "C") is Kind.HOLIDAY
    assert kind_of(date(2026, 3, 3), "B") is Kind.LESSONS
    assert kind_of(date(2026, 2, 17), "C") is Kind.LESSONS
    assert kind_of(date(2026, 5, 15), "A") is Kind.HOLIDAY  # the Ascension bridge
    assert kind_of(date(2026, 11, 11), "A") is Kind.SUNDAY
    assert kind_of(date(2026, 8, 31), "A") is Kind.SUMMER
    assert kind_of(date(2026, 9, 1), "A") is Kind.LESSONS
    assert kind_of(date(2030, 8, 1), "A") is Kind.SUMMER  # beyond what the package knows


@pytest.mark.parametrize(
    ("when", "hours", "offsets"),
    [
        (date(2026, 10, 25), 25, {"+02:00": 3, "+01:00": 22}),
        (date(2026, 3, 29), 23, {"+01:00": 2, "+02:00": 21}),
        (THURSDAY, 24, {"+01:00": 24}),
    ],
)
def test_nights_when_clocks_change_have_their_hours_and_offsets(when: date, hours: int, offsets: dict[str, int]):
    facts = parsed(when)
    beats = [fact["at"] for fact in facts if fact["kind"] == "heartbeat"]
    on_the_hour, last = beats[:-1], beats[-1]
    assert Counter(at[-6:] for at in on_the_hour) == offsets
    instants = [datetime.fromisoformat(at) for at in on_the_hour]
    assert {after - before for before, after in pairwise(instants)} == {timedelta(hours=1)}
    assert last[:19] == f"{when}T23:59:59"
    assert len(on_the_hour) == hours
    assert {fact["at"][:10] for fact in facts} == {when.isoformat()}


def test_the_hour_that_clocks_skip_is_in_no_line_and_the_one_lived_twice_in_both_offsets():
    assert not [fact for place in range(12) for fact in parsed(date(2026, 3, 29), place) if fact["at"][11:13] == "02"]
    twice = [fact["at"] for fact in parsed(date(2026, 10, 25)) if fact["at"][11:13] == "02"]
    assert {at[-6:] for at in twice} == {"+01:00", "+02:00"}
