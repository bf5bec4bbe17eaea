"""The daily and hourly series, the summary and freshness, on hand-written territories."""

from __future__ import annotations

from datetime import UTC, date, datetime

from contracts.answers import AnswerCell, Freshness
from contracts.catalogue import CATALOGUE
from contracts.packed import pack
from contracts.registry import Grant
from services.aggregator.query.freshness import Observed, freshness
from services.aggregator.query.lines import ScopedLines
from tests.services.aggregator.query.asking import ask_daily, ask_hourly, ask_summary
from tests.services.aggregator.query.ledger import Ledger, scope, visible

A, B = "0860001A", "0860002B"
TODAY, YESTERDAY = date(2026, 11, 20), date(2026, 11, 19)
PEOPLE = CATALOGUE.code("people", "people", "eleve", "net", "any")


def whole(ledger: Ledger, uai: str, *, source: str = "journal", zone: str = "Europe/Paris") -> None:
    ledger.observe(uai, date(2026, 10, 20), YESTERDAY, source=source, zone=zone)
    ledger.observe_hours(uai, TODAY, dict.fromkeys(range(18), 60) | {18: 30}, source=source)


def utc(year: int, month: int, day: int, hour: int, minute: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp())


def test_four_weeks_and_today():
    ledger = Ledger()
    whole(ledger, A)
    ledger.connect(A, YESTERDAY, "eleve", 5)
    ledger.connect(A, TODAY, "enseignant", 2, channel="software")
    ledger.report(A, "people", "day", YESTERDAY, {PEOPLE: 4})
    points = ask_daily(ledger, scope(visible(A)))
    assert [points[0].date, points[-1].date, len(points)] == [date(2026, 10, 23), TODAY, 29]
    assert (points[-2].connections, points[-2].people) == (AnswerCell(5), AnswerCell(4))
    assert points[-1].connections == AnswerCell(2, "partial", 1.0), "today is partial, however well observed"
    assert points[0].connections == AnswerCell(0)


def test_daily_adds_granted_channels_only():
    ledger = Ledger()
    whole(ledger, A)
    whole(ledger, B, source="access-log")
    for uai in (A, B):
        ledger.connect(uai, YESTERDAY, "eleve", 5)
    logged = visible(B, families=("web", "observed.access-log"))
    point = ask_daily(ledger, scope(visible(A), logged))[-2]
    assert point.connections == AnswerCell(10, "estimated")
    assert point.people == AnswerCell(0, "partial", 1.0, left_out=1)
    assert ask_daily(ledger, scope(visible(A, families=())))[-2].connections == AnswerCell(None, "nd", left_out=1)


def test_small_profiles_are_left_out_of_days():
    small = CATALOGUE.code("diagnostics", "small_profile", "eleve")
    ledger = Ledger()
    whole(ledger, A)
    ledger.connect(A, YESTERDAY, "eleve", 5)
    ledger.connect(A, YESTERDAY, "responsable", 3)
    ledger.report(A, "diagnostics", "month", date(2026, 11, 1), {small: 1})
    assert ask_daily(ledger, scope(visible(A)))[-2].connections == AnswerCell(3)


def test_three_weeks_by_hour_of_the_local_day():
    ledger = Ledger()
    whole(ledger, A)
    hours = {(A, "web"): [(utc(2026, 11, 19, 7), 4, False)], (A, "software"): [(utc(2026, 11, 19, 7), 1, False)]}
    found = ask_hourly(ledger, scope(visible(A)), hours)
    assert len(found) == 21 * 24
    assert [min(found)[0], max(found)[0]] == [date(2026, 10, 30), YESTERDAY]
    assert found[YESTERDAY, 8] == AnswerCell(5)
    assert found[YESTERDAY, 9] == AnswerCell(0)


def test_agents_share_an_hour_and_zones_share_a_label():
    ledger = Ledger()
    whole(ledger, A)
    whole(ledger, B, zone="Pacific/Marquesas")
    paris = [(utc(2026, 11, 18, 7), 4, False), (utc(2026, 11, 18, 7), 2, False)]
    marquesas = [(utc(2026, 11, 18, 17, 30), 10, False)]
    hours = {(A, "web"): paris, (B, "web"): marquesas}
    found = ask_hourly(ledger, scope(visible(A), visible(B, zone="Pacific/Marquesas")), hours)
    assert found[date(2026, 11, 18), 8] == AnswerCell(16)


def test_the_hour_lived_twice_is_one_label():
    now = datetime(2026, 11, 2, 12, tzinfo=UTC)
    ledger = Ledger()
    ledger.observe(A, date(2026, 10, 1), date(2026, 11, 1))
    hours = {(A, "web"): [(utc(2026, 10, 25, 0), 1, False), (utc(2026, 10, 25, 1), 2, False)]}
    found = ask_hourly(ledger, scope(visible(A)), hours, now=now)
    assert found[date(2026, 10, 25), 2] == AnswerCell(3)
    ledger.observe_hours(A, date(2026, 10, 25), dict.fromkeys(range(25), 60) | {3: 30})
    assert ask_hourly(ledger, scope(visible(A)), hours, now=now)[date(2026, 10, 25), 2] == AnswerCell(
        3, "partial", 0.75
    )


def test_the_hour_skipped_is_without_object():
    now = datetime(2026, 4, 5, 12, tzinfo=UTC)
    ledger = Ledger()
    for uai, zone in ((A, "Europe/Paris"), (B, "Indian/Reunion")):
        ledger.observe(uai, date(2026, 3, 1), date(2026, 4, 4), zone=zone)
    paris = ask_hourly(ledger, scope(visible(A)), {}, now=now)
    assert paris[date(2026, 3, 29), 2] == AnswerCell(None, "na")
    both = ask_hourly(ledger, scope(visible(A), visible(B, zone="Indian/Reunion")), {}, now=now)
    assert both[date(2026, 3, 29), 2] == AnswerCell(0), "nobody misses an hour that did not exist"


def test_hours_say_what_was_not_observed():
    ledger = Ledger()
    whole(ledger, A)
    ledger.observe_hours(A, YESTERDAY, {8: 60, 9: 45})
    hours = {(A, "web"): [(utc(2026, 11, 19, 7), 4, True)]}
    found = ask_hourly(ledger, scope(visible(A)), hours)
    assert found[YESTERDAY, 7] == AnswerCell(None, "nd", left_out=1)
    assert found[YESTERDAY, 8] == AnswerCell(4, "partial", 1.0), "its report was cut"
    assert found[YESTERDAY, 9] == AnswerCell(0, "partial", 0.75)
    closed = ask_hourly(ledger, scope(visible(A, closed=date(2026, 11, 18))), hours)
    assert closed[YESTERDAY, 8] == AnswerCell(None, "na")


def test_hours_not_over_there_are_partial_and_ended_ones_whole():
    # half past midnight in Paris; in Tahiti yesterday's 13 h is running
    now = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
    ledger = Ledger()
    ledger.observe_hours(A, YESTERDAY, dict.fromkeys(range(13), 60) | {13: 30})
    found = ask_hourly(ledger, scope(visible(A, zone="Pacific/Tahiti")), {}, now=now)
    assert found[YESTERDAY, 12] == AnswerCell(0)
    assert found[YESTERDAY, 13] == AnswerCell(0, "partial")
    assert found[YESTERDAY, 14] == AnswerCell(None, "nd", left_out=1)


def test_the_summary_by_profile_channel_and_access():
    ledger = Ledger()
    whole(ledger, A)
    ledger.connect(A, YESTERDAY, "eleve", 6, access="ent")
    ledger.connect(A, YESTERDAY, "eleve", 2, channel="mobile")
    ledger.connect(A, YESTERDAY, "enseignant", 2, channel="software")
    summary = ask_summary(ledger, scope(visible(A)), window="last-day")
    widgets = {widget.id: {row.id: row.cells for row in widget.rows} for widget in summary.widgets}
    assert [column.id for column in summary.widgets[0].columns] == ["all", "net", "mobile", "software", "mobile_share"]
    assert [cell.value for cell in widgets["profils"]["eleve"]] == [8, 8, 2, None, 0.25]
    assert widgets["profils"]["eleve"][3].state == "na"
    assert [cell.value for cell in widgets["profils"]["total"]] == [10, 8, 2, 2, 0.25]
    assert [cell.value for row in widgets["supports"].values() for cell in row] == [6, 0.6, 2, 0.2, 2, 0.2]
    assert [cell.value for row in widgets["acces"].values() for cell in row] == [2, 0.25, 6, 0.75, 0, 0.0]


def test_the_summary_when_no_access_is_known():
    ledger = Ledger()
    whole(ledger, A)
    ledger.connect(A, YESTERDAY, "eleve", 6, access="unknown")
    access = ask_summary(ledger, scope(visible(A)), window="last-day").widgets[2]
    cells = {row.id: row.cells for row in access.rows}
    assert [cell.state for cell in cells["ent"]] == ["nd", "nd"]
    assert cells["unknown"] == [AnswerCell(6), AnswerCell(1.0)]


def test_freshness_follows_the_source_of_each_family():
    first_minute = CATALOGUE.select("observed.journal", "minutes")[0]
    first_logged = CATALOGUE.select("observed.access-log", "minutes")[0]
    newest = [
        Observed(A, "observed.journal", YESTERDAY, pack([first_minute + 22, first_minute + 23], [60, 60])),
        Observed(A, "observed.journal", TODAY, pack([first_minute, first_minute + 9], [60, 20])),
        Observed(A, "observed.access-log", TODAY, pack([first_logged + 7], [60])),
    ]
    grants = tuple(
        Grant("agent", A, f) for f in ("web", "people", "activities.social", "observed.access-log", "diagnostics")
    )
    lines = ScopedLines(scope(visible(A, grants=(*grants, Grant("agent", A, "observed.journal"))), visible(B))).all
    journal = datetime(2026, 11, 20, 8, 20, tzinfo=UTC)
    assert freshness(lines, TODAY, newest) == [
        Freshness(A, "web", datetime(2026, 11, 20, 7, tzinfo=UTC)),
        Freshness(A, "people", journal),
        Freshness(A, "activities.social", journal),
        Freshness(B, "web", None),
        Freshness(B, "software", None),
        Freshness(B, "people", None),
    ]
