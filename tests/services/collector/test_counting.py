"""Which period a line counts in, what leaves when, and what grants and the other source leave out."""

from __future__ import annotations

from datetime import UTC, date, datetime

from services.collector.config import GrantSettings, SourcesSettings
from services.collector.sources import families_of
from tests.services.collector.school import School, activity, connection, heartbeat


def test_the_two_two_o_clocks_of_october_stay_apart(school: School) -> None:
    school.write(
        connection("2026-10-25T00:30:00Z"), connection("2026-10-25T01:30:00Z"), connection("2026-10-25T01:45:00Z")
    )
    school.read()
    assert school.counts("web", "hour", "2026-10-25T02:00+02:00") == {"families.web": 1}
    assert school.counts("web", "hour", "2026-10-25T02:00+01:00") == {"families.web": 2}
    assert school.counts("web", "day", "2026-10-25") == {"eleve.web.direct": 3}


def test_days_are_local_and_the_school_year_starts_on_1_september(make_school) -> None:
    paris, marquesas = make_school(), make_school(zone="Pacific/Marquesas")
    for school in (paris, marquesas):
        school.write(
            connection("2026-08-31T22:00:00Z"), connection("2026-09-01T09:29:59Z"), connection("2026-09-01T09:30:00Z")
        )
        school.read()
    assert paris.counts("web", "day", "2026-09-01") == {"eleve.web.direct": 3}
    assert marquesas.counts("web", "day", "2026-08-31") == {"eleve.web.direct": 2}
    assert marquesas.counts("people", "school_year", "2025-09-01")["eleve.web.any"] == 1
    assert marquesas.counts("web", "day", "2026-09-01") == {"eleve.web.direct": 1}


def test_hours_know_two_groups_and_are_counted_for_90_days(school: School) -> None:
    for profile in ("eleve", "responsable", "enseignant", "personnel"):
        school.write(connection("2026-11-19T08:10:00+01:00", profile=profile))
    school.write(connection("2026-03-02T08:00:00+01:00"))
    school.read()
    assert school.counts("web", "hour", "2026-11-19T08:00+01:00") == {"families.web": 2, "adults.web": 2}
    assert school.counts("web", "day", "2026-03-02") == {"eleve.web.direct": 1}
    assert not [key for key in school.reports() if key[1] == "hour" and key[2] < "2026-08"]


def test_social_leaves_once_the_local_day_is_over(school: School) -> None:
    school.write(
        activity("2026-11-19T08:00:00+01:00", "lateness"), activity("2026-11-20T08:00:00+01:00", "lateness", n=2)
    )
    school.read()
    assert school.counts("activities.social", "day", "2026-11-19") == {"lateness.AUTRE": 1}
    assert school.counts("activities.social", "day", "2026-11-20") == {}
    school.acknowledge()
    school.now = datetime(2026, 11, 20, 23, tzinfo=UTC)
    assert school.counts("activities.social", "day", "2026-11-20") == {"lateness.AUTRE": 2}


def test_a_report_is_cut_when_a_hundredth_of_its_period_had_passed(school: School) -> None:
    school.write(connection("2026-11-18T00:14:24+01:00", "u1"))
    school.read()
    cuts = {key[1:]: report.cut for key, report in school.reports().items() if key[0] == "people"}
    assert cuts == {("day", "2026-11-18"): False, ("month", "2026-11-01"): True, ("school_year", "2026-09-01"): True}
    assert school.reports()["web", "hour", "2026-11-18T00:00+01:00"].cut is True
    assert not any(
        report.cut for key, report in school.reports().items() if key[0] in ("observed.journal", "diagnostics")
    )


def test_only_granted_days_are_counted(make_school) -> None:
    day = date(2026, 11, 19)
    grants = (
        GrantSettings("web", day, None),
        GrantSettings("people", None, day),
        GrantSettings("diagnostics"),
        GrantSettings("observed.journal", day, day),
    )
    school = make_school(grants=grants)
    for at in ("2026-11-18T08:00:00+01:00", "2026-11-19T08:00:00+01:00", "2026-11-20T08:00:00+01:00"):
        school.write(connection(at, at), activity(at, "forums"), connection(at, at, "enseignant", "software"))
    school.read()
    assert school.counts("web", "day", "2026-11-18") == {}
    assert school.counts("web", "day", "2026-11-20") == {"eleve.web.direct": 1}
    assert school.counts("people", "month", "2026-11-01")["eleve.web.any"] == 2
    assert school.counts("diagnostics", "day", "2026-11-20") == {"outside_grant": 7}
    assert {key[2] for key in school.reports() if key[0] == "observed.journal"} == {"2026-11-19"}


def test_the_source_that_is_not_in_charge_counts_no_connection(make_school) -> None:
    sources = SourcesSettings(journal="journal*", access_log="access.log", connections_from="access-log")
    school = make_school(sources=sources)
    at = "2026-11-19T08:00:00+01:00"
    school.write(
        connection(at),
        connection(at, "t1", "enseignant"),
        connection(at, "t2", "enseignant", "software"),
        activity(at, "forums"),
    )
    school.read()
    assert school.set_aside() == {"connection_of_the_other_source": 2}
    assert not [key for key in school.reports() if key[0] == "web"]
    assert school.counts("people", "day", "2026-11-19") == {"enseignant.software.any": 1}
    assert school.counts("software", "day", "2026-11-19") == {"enseignant.software.direct": 1}
    assert {"web", "observed.access-log", "observed.journal"} <= set(families_of(sources)), "the web is the log's"


def test_families_that_sources_supply() -> None:
    assert families_of({}) == []
    assert families_of({"journal": "j.ndjson"}) == [
        "web", "software", "people", "activities.scolarite", "activities.communications", "activities.travaux",
        "activities.social", "observed.journal", "diagnostics",
    ]  # fmt: skip


def test_days_unchanged_for_60_days_are_dropped_and_their_lines_too_old(school: School) -> None:
    school.write(connection("2026-11-18T08:00:00+01:00"), heartbeat("2026-11-20T12:00:00Z"))
    school.read()
    school.acknowledge()
    school.now = datetime(2027, 1, 20, 12, tzinfo=UTC)
    school.read()
    school.acknowledge()
    assert date(2026, 11, 18) in school.store.dropped_days(1)
    school.write(connection("2026-11-18T09:00:00+01:00"), connection("2026-11-17T09:00:00+01:00"))
    school.read()
    assert school.set_aside() == {"too_old": 1}
    assert ("web", "day", "2026-11-18") not in school.reports()
    assert school.counts("web", "day", "2026-11-17") == {"eleve.web.direct": 1}


def test_a_day_that_kafka_does_not_have_is_never_dropped(school: School) -> None:
    school.write(connection("2026-11-18T08:00:00+01:00"))
    school.read()
    school.now = datetime(2027, 6, 20, 12, tzinfo=UTC)
    school.read()
    assert school.store.dropped_days(1) == set()
    assert school.counts("web", "day", "2026-11-18") == {"eleve.web.direct": 1}


def test_what_changed_after_it_was_sent_stays_to_publish(school: School) -> None:
    school.write(connection("2026-11-19T08:00:00+01:00"))
    school.read()
    ((_, sent),) = school.service.messages("agent-1", school.now)
    school.write(connection("2026-11-19T08:00:00+01:00"))
    school.read()
    school.service.mark_published(sent, 5.0)
    assert school.counts("web", "day", "2026-11-19") == {"eleve.web.direct": 2}
    assert ("observed.journal", "day", "2026-11-19") not in school.reports()
    school.acknowledge()
    assert school.reports() == {}


def test_messages_stay_under_the_size_that_is_accepted(school: School, monkeypatch) -> None:
    monkeypatch.setattr("services.collector.reports.MAX_MESSAGE_BYTES", 6000)
    school.write(*(connection(f"2026-11-{day:02}T{hour:02}:00:00Z") for day in range(1, 20) for hour in range(24)))
    school.read()
    messages = school.service.messages("agent-1", school.now)
    assert len(messages) > 5
    assert sum(len(message.reports) for message, _ in messages) == len(school.reports())
