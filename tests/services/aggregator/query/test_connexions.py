"""The Connexions tables, from reports folded by the aggregator's own code to the cells of an answer."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from contracts.answers import AnswerCell
from contracts.catalogue import CATALOGUE
from contracts.registry import Grant
from tests.services.aggregator.query.asking import ask, cell, total
from tests.services.aggregator.query.ledger import Ledger, scope, visible

A, B, C = "0860001A", "0860002B", "0860003C"
YESTERDAY = date(2026, 11, 19)
PEOPLE = "connexions.individus"


def whole(ledger: Ledger, uai: str, first: date = date(2026, 9, 1), **how: object) -> None:
    """Observed from `first` to yesterday, and today until now."""
    ledger.observe(uai, first, YESTERDAY, **how)  # type: ignore[arg-type]
    ledger.observe_hours(uai, date(2026, 11, 20), dict.fromkeys(range(18), 60) | {18: 30})


def test_connections_of_yesterday_by_profile_and_channel():
    ledger = Ledger()
    whole(ledger, A)
    ledger.connect(A, YESTERDAY, "eleve", 5)
    ledger.connect(A, YESTERDAY, "eleve", 3, channel="mobile", access="ent")
    ledger.connect(A, YESTERDAY, "enseignant", 2, channel="software")
    answer = ask(ledger, scope(visible(A)), window="last-day")
    assert (answer.first_day, answer.last_day, answer.complete) == (YESTERDAY, YESTERDAY, True)
    assert cell(answer, A, "total.all") == AnswerCell(10)
    assert cell(answer, A, "total.net") == AnswerCell(8)
    assert cell(answer, A, "eleve.mobile") == AnswerCell(3)
    assert cell(answer, A, "enseignant.software") == AnswerCell(2)
    assert cell(answer, A, "personnel.all") == AnswerCell(0)


def test_rates_are_made_after_aggregation():
    ledger = Ledger()
    for uai, web, mobile in ((A, 1, 1), (B, 2, 97)):
        whole(ledger, uai)
        ledger.connect(uai, YESTERDAY, "eleve", web)
        ledger.connect(uai, YESTERDAY, "eleve", mobile, channel="mobile")
    answer = ask(ledger, scope(visible(A), visible(B)), window="last-day", display="rates")
    assert cell(answer, A, "eleve.mobile") == AnswerCell(0.5)
    assert cell(answer, B, "eleve.mobile") == AnswerCell(0.979798)
    assert total(answer, "eleve.mobile") == AnswerCell(0.970297)
    assert cell(answer, A, "responsable.mobile") == AnswerCell(None, "na")
    assert total(answer, "responsable.mobile") == AnswerCell(None, "na")
    assert cell(answer, A, "total.all") == AnswerCell(2), "a column without a rate keeps its value"
    assert [column.unit for column in answer.columns[:2]] == ["count", "rate"]


def test_unobserved_is_not_zero_and_totals_say_so():
    ledger = Ledger()
    whole(ledger, A)
    ledger.connect(A, YESTERDAY, "eleve", 5)
    answer = ask(ledger, scope(visible(A), visible(B)), window="last-day")
    assert cell(answer, B, "eleve.net") == AnswerCell(None, "nd")
    assert total(answer, "eleve.net") == AnswerCell(5, "partial", 1.0, left_out=1)


def test_a_day_misses_a_minute():
    ledger = Ledger()
    ledger.observe(A, YESTERDAY, YESTERDAY)
    ledger.observe_hours(A, YESTERDAY, dict.fromkeys(range(24), 60) | {7: 59})
    answer = ask(ledger, scope(visible(A)), window="last-day")
    assert cell(answer, A, "total.all") == AnswerCell(0, "partial", 0.999306)


def test_a_month_misses_more_than_a_hundredth():
    # 19 whole days and today until 16 h: 472 hours count, the last two and a half do not
    ledger = Ledger()
    whole(ledger, A, first=date(2026, 11, 1))
    ledger.observe_hours(A, date(2026, 11, 3), dict.fromkeys(range(20), 60) | {20: 18})
    missed = 3 * 60 + 42
    answer = ask(ledger, scope(visible(A)), window="current-month")
    assert 222 * 100 < 472 * 60
    assert cell(answer, A, "total.all") == AnswerCell(0)
    ledger.observe_hours(A, date(2026, 11, 3), dict.fromkeys(range(19), 60))
    answer = ask(ledger, scope(visible(A)), window="current-month")
    assert missed == 222
    assert cell(answer, A, "total.all") == AnswerCell(0, "partial", round(1 - 5 * 60 / (472 * 60), 6))


def test_people_leave_out_what_an_access_log_cannot_know():
    ledger = Ledger()
    whole(ledger, A)
    ledger.observe(A, date(2026, 9, 1), YESTERDAY, source="access-log")
    ledger.connect(A, YESTERDAY, "eleve", 4)
    code = CATALOGUE.code("people", "people", "enseignant", "software", "any")
    ledger.report(A, "people", "day", YESTERDAY, {code: 3})
    logged = visible(A, families=("web", "software", "people", "observed.journal", "observed.access-log"))
    people = ask(ledger, scope(logged), PEOPLE, window="last-day")
    assert cell(people, A, "eleve.net") == AnswerCell(None, "nd")
    assert cell(people, A, "enseignant.all") == AnswerCell(None, "nd")
    assert cell(people, A, "enseignant.software") == AnswerCell(3)
    counted = ask(ledger, scope(logged), window="last-day")
    assert cell(counted, A, "eleve.net") == AnswerCell(4, "estimated")
    assert cell(counted, A, "total.all") == AnswerCell(4, "estimated")
    assert cell(counted, A, "responsable.net") == AnswerCell(0), "no presumed connection in that sum"


def test_connections_without_software_are_partial():
    ledger = Ledger()
    ledger.observe(A, date(2026, 9, 1), YESTERDAY, source="access-log")
    ledger.connect(A, YESTERDAY, "enseignant", 4)
    counted = ask(ledger, scope(visible(A, families=("web", "observed.access-log"))), window="last-day")
    assert cell(counted, A, "enseignant.net").state == "estimated"
    assert cell(counted, A, "enseignant.software") == AnswerCell(None, "nd")
    assert cell(counted, A, "enseignant.all") == AnswerCell(4, "partial", 0.5)
    rates = ask(ledger, scope(visible(A, families=("web", "observed.access-log"))), window="last-day", display="rates")
    assert cell(rates, A, "enseignant.net") == AnswerCell(None, "nd"), "its denominator has a missing part"


def test_source_changed_during_the_window():
    ledger = Ledger()
    ledger.observe(A, date(2026, 11, 1), date(2026, 11, 10))
    ledger.observe(A, date(2026, 11, 11), YESTERDAY, source="access-log")
    ledger.observe_hours(A, date(2026, 11, 20), dict.fromkeys(range(18), 60), source="access-log")
    ledger.connect(A, YESTERDAY, "eleve", 4)
    grants = (
        Grant("one", A, "web"),
        Grant("one", A, "observed.journal"),
        Grant("one", A, "people"),
        Grant("two", A, "observed.access-log", date(2026, 11, 11)),
    )
    answer = ask(ledger, scope(visible(A, grants=grants)), window="current-month")
    assert cell(answer, A, "eleve.net") == AnswerCell(4, "estimated")
    people = ask(ledger, scope(visible(A, grants=grants)), PEOPLE, window="current-month")
    assert cell(people, A, "eleve.net").state == "partial"


def test_unknown_access_is_not_zero_ent():
    ledger = Ledger()
    whole(ledger, A)
    whole(ledger, B)
    ledger.connect(A, YESTERDAY, "eleve", 4, access="unknown")
    answer = ask(ledger, scope(visible(A), visible(B)), "connexions.individus-ent", window="last-day")
    assert cell(answer, A, "eleve.net") == AnswerCell(None, "nd")
    assert cell(answer, B, "eleve.net") == AnswerCell(0)


def test_small_profiles_wait_for_the_end_of_their_month():
    small = CATALOGUE.code("diagnostics", "small_profile", "accompagnant")
    own = CATALOGUE.code("web", "connections", "accompagnant", "web", "direct")
    ledger = Ledger()
    whole(ledger, A)
    for month in (9, 10, 11):
        ledger.report(A, "diagnostics", "month", date(2026, month, 1), {small: 1})
    ledger.report(A, "web", "month", date(2026, 10, 1), {own: 7})
    ledger.connect(A, YESTERDAY, "eleve", 5)
    by_window = {
        window: ask(ledger, scope(visible(A)), window=window)
        for window in ("last-day", "current-month", "last-month", "current-year")
    }
    assert cell(by_window["last-day"], A, "accompagnant.net") == AnswerCell(None, "s")
    assert cell(by_window["current-month"], A, "accompagnant.net") == AnswerCell(None, "s")
    assert cell(by_window["last-month"], A, "accompagnant.net") == AnswerCell(7)
    assert cell(by_window["current-year"], A, "accompagnant.net") == AnswerCell(7)
    assert cell(by_window["current-year"], A, "total.net") == AnswerCell(12)
    assert cell(by_window["current-month"], A, "total.net") == AnswerCell(5), "without becoming partial"
    note = ["hors profils de moins de 5 comptes"]
    assert [answer.notes for answer in by_window.values()] == [note, note, [], note]


def test_unobserved_comes_before_small_and_totals_never_wait():
    ledger = Ledger()
    whole(ledger, A)
    for uai in (A, B):
        small = {CATALOGUE.code("diagnostics", "small_profile", profile): 1 for profile in ("enseignant", "personnel")}
        ledger.report(uai, "diagnostics", "month", date(2026, 11, 1), small)
    answer = ask(ledger, scope(visible(A), visible(B)), window="last-day")
    assert cell(answer, A, "enseignant.all") == AnswerCell(None, "s")
    assert cell(answer, B, "enseignant.all") == AnswerCell(None, "nd")
    assert cell(answer, A, "total.software") == AnswerCell(0), "of the profiles that are not small: none has the client"


def test_nothing_small_in_september():
    small = CATALOGUE.code("diagnostics", "small_profile", "accompagnant")
    ledger = Ledger()
    ledger.observe(A, date(2026, 9, 1), date(2026, 9, 10))
    ledger.report(A, "diagnostics", "month", date(2026, 9, 1), {small: 1})
    answer = ask(ledger, scope(visible(A)), now=datetime(2026, 9, 10, 12, tzinfo=UTC))
    assert cell(answer, A, "accompagnant.net") == AnswerCell(None, "s")
    assert cell(answer, A, "total.net").value == 0


def test_days_past_the_territorys_date_wait():
    ledger = Ledger()
    whole(ledger, A)
    ledger.connect(A, YESTERDAY, "eleve", 5)
    ledger.connect(A, date(2026, 11, 21), "eleve", 2)
    for window in ("current-month", "current-year"):
        assert cell(ask(ledger, scope(visible(A)), window=window), A, "eleve.net") == AnswerCell(5)


def test_over_here_and_not_yet_there():
    # 20 November, 00:30 in Paris: yesterday is over, but not in Tahiti, where it is half past one in the afternoon
    now = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
    ledger = Ledger()
    ledger.observe_hours(A, YESTERDAY, dict.fromkeys(range(13), 60))
    ledger.connect(A, YESTERDAY, "eleve", 5)
    answer = ask(ledger, scope(visible(A, zone="Pacific/Tahiti")), window="last-day", now=now)
    assert answer.complete
    assert cell(answer, A, "eleve.net") == AnswerCell(5, "partial", 1.0)


def test_outside_its_opening_dates():
    ledger = Ledger()
    whole(ledger, A, first=date(2026, 11, 10))
    later = visible(A, opened=date(2026, 11, 10))
    assert cell(ask(ledger, scope(later), window="last-month"), A, "total.all") == AnswerCell(None, "na")
    assert cell(ask(ledger, scope(later), window="current-month"), A, "total.all") == AnswerCell(0)
    closed = visible(A, closed=date(2026, 10, 31))
    answer = ask(ledger, scope(closed, visible(B)), window="last-day")
    assert cell(answer, A, "total.all") == AnswerCell(None, "na")
    assert total(answer, "total.all") == AnswerCell(None, "nd", left_out=1)


def test_a_cut_report_makes_its_own_window_partial():
    ledger = Ledger()
    whole(ledger, A)
    code = CATALOGUE.code("web", "connections", "eleve", "web", "direct")
    ledger.report(A, "web", "day", YESTERDAY, {code: 4}, cut=True)
    assert cell(ask(ledger, scope(visible(A)), window="last-day"), A, "eleve.net") == AnswerCell(4, "partial", 1.0)
    assert cell(ask(ledger, scope(visible(A)), window="current-month"), A, "eleve.net") == AnswerCell(4)


def test_a_cut_says_nothing_of_a_school_that_was_not_open_yet():
    ledger = Ledger()
    whole(ledger, A, first=date(2026, 11, 10))
    code = CATALOGUE.code("people", "people", "eleve", "net", "any")
    ledger.report(A, "people", "month", date(2026, 11, 1), {code: 3}, cut=True)
    table, opened = "connexions.individus", scope(visible(A, opened=date(2026, 11, 10)))
    assert cell(ask(ledger, opened, table, window="current-month"), A, "eleve.net") == AnswerCell(3)
    always = cell(ask(ledger, scope(visible(A)), table, window="current-month"), A, "eleve.net")
    assert (always.value, always.state) == (3, "partial")


def test_first_years():
    ledger = Ledger()
    ledger.observe(A, date(2012, 9, 1), date(2013, 8, 31))
    answer = ask(ledger, scope(visible(A)), school_year="2012-2013")
    assert answer.window == "school_year=2012-2013"
    assert cell(answer, A, "accompagnant.net") == AnswerCell(None, "nd"), "since 2020"
    assert cell(answer, A, "personnel.all") == AnswerCell(0, "partial", 0.5), "2010-2014: .Net is missing"
    rates = ask(ledger, scope(visible(A)), school_year="2012-2013", display="rates")
    assert cell(rates, A, "personnel.software") == AnswerCell(None, "nd"), "of a sum that lacks a part"
    assert cell(answer, A, "eleve.net") == AnswerCell(0)


def test_people_rates_wait_for_a_census():
    ledger = Ledger()
    whole(ledger, A)
    code = CATALOGUE.code("people", "people", "eleve", "net", "any")
    ledger.report(A, "people", "day", YESTERDAY, {code: 12})
    assert cell(ask(ledger, scope(visible(A)), PEOPLE, window="last-day"), A, "eleve.net") == AnswerCell(12)
    rates = ask(ledger, scope(visible(A)), PEOPLE, window="last-day", display="rates")
    assert cell(rates, A, "eleve.net") == AnswerCell(None, "nd")
    accounts = {CATALOGUE.code("census.comptes", "read"): 1, CATALOGUE.code("census.comptes", "accounts", "eleve"): 48}
    ledger.report(A, "census.comptes", "day", date(2026, 10, 5), accounts)
    rates = ask(ledger, scope(visible(A)), PEOPLE, window="last-day", display="rates")
    assert cell(rates, A, "eleve.net") == AnswerCell(0.25)
    assert cell(rates, A, "responsable.net") == AnswerCell(None, "na"), "no such account"


def test_a_window_reads_the_newest_census_of_the_school_year_of_its_last_day():
    ledger = Ledger()
    ledger.observe(A, date(2025, 9, 1), date(2026, 11, 20))
    code = CATALOGUE.code("people", "people", "personnel", "net", "any")
    for start in (date(2025, 9, 1), date(2026, 9, 1)):
        ledger.report(A, "people", "school_year", start, {code: 9})
    read = {CATALOGUE.code("census.comptes", "read"): 1}
    staff = [
        CATALOGUE.code("census.comptes", "accounts", profile) for profile in ("administratif", "vie_scolaire", "autre")
    ]
    ledger.report(A, "census.comptes", "day", date(2025, 10, 6), read | dict.fromkeys(staff, 1))
    asked: dict[str, Any] = {"table": PEOPLE, "display": "rates"}
    last = ask(ledger, scope(visible(A)), window="last-year", **asked)
    assert cell(last, A, "personnel.net") == AnswerCell(3.0), "more than 100 % is shown as it is"
    assert total(last, "personnel.net") == AnswerCell(3.0)
    assert cell(ask(ledger, scope(visible(A)), window="current-year", **asked), A, "personnel.net").state == "nd"
    ledger.report(A, "census.comptes", "day", date(2026, 9, 7), read | dict.fromkeys(staff, 2))
    ledger.report(A, "census.comptes", "day", date(2026, 10, 5), read | dict.fromkeys(staff, 6))
    assert cell(ask(ledger, scope(visible(A)), window="current-year", **asked), A, "personnel.net").value == 0.5


def test_a_census_without_any_account_was_read_all_the_same():
    ledger = Ledger()
    whole(ledger, A)
    ledger.report(A, "census.comptes", "day", date(2026, 10, 5), {CATALOGUE.code("census.comptes", "read"): 1})
    answer = ask(ledger, scope(visible(A)), PEOPLE, window="last-day", display="rates")
    assert cell(answer, A, "total.net") == AnswerCell(None, "na")


def test_nothing_asked_of_any_agent_is_not_zero():
    ledger = Ledger()
    whole(ledger, A)
    answer = ask(ledger, scope(visible(A, families=("software", "observed.journal"))), window="last-day")
    assert cell(answer, A, "eleve.net") == AnswerCell(None, "nd")
    assert cell(answer, A, "enseignant.software") == AnswerCell(0)


def test_as_of_is_the_newest_report():
    ledger = Ledger()
    whole(ledger, A)
    newest = datetime(2026, 11, 20, 13, 5, tzinfo=UTC)
    ledger.report(B, "web", "day", YESTERDAY, {}, as_of=newest)
    answer = ask(ledger, scope(visible(A), visible(B)), window="last-day")
    assert answer.as_of == newest
    assert ask(ledger, scope(visible(C)), window="last-day").as_of is None
