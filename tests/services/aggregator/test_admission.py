"""What becomes of each message, on messages alone: no Kafka, no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalogue import CATALOGUE
from contracts.packed import pack
from contracts.registry import AgentKey, Convention, Establishment, Grant, Registry
from contracts.usage_reported import MAX_MESSAGE_BYTES, Report, UsageReported
from services.aggregator import metrics
from services.aggregator.admission import Docket
from services.aggregator.registry import index
from services.aggregator.states import as_states
from tests.services.aggregator.stage import HOURLY, NOW, OTHER_UAI, UAI, WEB, Agent, registry, report

APPENDED = int(NOW.timestamp() * 1000)
AGENT = Agent()
NUMBERS = {"agent-1": 1, "agent-2": 2}
GOOD = report("2026-03-16", {WEB[0]: 3})


@dataclass
class Record:
    """A record as aiokafka gives it."""

    value: bytes | None
    key: bytes | None = UAI.encode()
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp: int = APPENDED
    topic: str = "usage.reported.v1"
    partition: int = 0
    offset: int = 0


def signed(value: bytes, *, by: Agent = AGENT, **more: object) -> Record:
    return Record(value, headers=by.headers(value), **more)  # type: ignore[arg-type]


def judged(*records: Record, snapshot: Registry | None = None, now: datetime = NOW) -> tuple[Docket, dict[str, int]]:
    docket = Docket(index(snapshot or registry([AGENT])), NUMBERS, now)
    docket.accepted = list(as_states(*docket.judge(records)))  # type: ignore[attr-defined]
    assert {key[1] for key in docket.outcomes} <= metrics.MEANINGS.keys()
    return docket, {".".join(filter(None, key[1:])): count for key, count in docket.outcomes.items()}


def causes(*records: Record, snapshot: Registry | None = None) -> list[str]:
    return [letter.code for letter in judged(*records, snapshot=snapshot)[0].dead]


def test_a_good_message_is_accepted_whole():
    docket, outcomes = judged(
        signed(AGENT.message(GOOD, report("2026-03-16T09:00+01:00", {HOURLY[0]: 1}, grain="hour")))
    )
    assert outcomes == {"accepted": 2}
    (key, state), (hour, _) = docket.accepted  # type: ignore[attr-defined]
    assert key == (UAI, 0, 1, date(2026, 3, 16).toordinal(), 1)
    assert state == (0, False, APPENDED, pack([WEB[0]], [3]))
    assert hour.start == int(datetime(2026, 3, 16, 8, tzinfo=UTC).timestamp())


def test_the_two_hours_of_october_are_two():
    docket, _ = judged(
        signed(AGENT.message(*(report(f"2025-10-26T02:00+0{n}:00", {HOURLY[0]: 1}, grain="hour") for n in (1, 2)))),
        now=datetime(2025, 10, 27, tzinfo=UTC),
    )
    starts = [key.start for key, _ in docket.accepted]  # type: ignore[attr-defined]
    assert starts[0] - starts[1] == 3600


def _raw(**changes: object) -> bytes:
    report = {"family": "web", "grain": "day", "start": "2026-03-16", "cells": [WEB[0]], "counts": [1]}
    for name in list(report):
        if name in changes:
            report[name] = changes.pop(name)  # type: ignore[assignment]
    return msgspec.json.encode({"agent": "agent-1", "uai": UAI, "catalogue": 1, "reports": [report], **changes})


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (b"", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"agent":', "malformed"),
        (b"x" * (MAX_MESSAGE_BYTES + 1), "oversize"),
        (_raw(cells=["1"]), "malformed"),
        (_raw(cells=[True]), "malformed"),
        (_raw(counts=[1.5]), "malformed"),
        (_raw(reports={}), "malformed"),
        (_raw(grain="minute"), "malformed"),
        (_raw(family="\x00"), "unknown_family"),
        (_raw(family="census.comptes", grain="month"), "grain_not_in_family"),
        (_raw(start="2026-3-16"), "bad_start"),
        (_raw(start="9999-12-31"), "bad_start"),
        (_raw(grain="month", start="2026-03-16"), "bad_start"),
        (_raw(grain="hour", start="2026-03-16T09:30+01:00"), "bad_start"),
        (_raw(grain="hour", start="2026-03-16\x0009:00+01:00"), "bad_start"),
        (_raw(grain="hour", start="20260316T09+01:00"), "bad_start"),
        (_raw(grain="hour", start="2026-03-16T08:00Z"), "bad_start"),
        (_raw(cells=[WEB[0], WEB[0]], counts=[1, 1]), "cells_not_ascending"),
        (_raw(cells=[WEB[1], WEB[0]], counts=[1, 1]), "cells_not_ascending"),
        (_raw(cells=[WEB[0], WEB[1]]), "lengths_differ"),
        (_raw(cells=[]), "lengths_differ"),
        (_raw(cells=[1]), "cell_not_in_family"),
        (_raw(cells=[-1]), "cell_not_in_family"),
        (_raw(cells=[2**70]), "cell_not_in_family"),
        (_raw(counts=[-1]), "bad_count"),
        (_raw(counts=[2**50]), "bad_count"),
        (_raw(counts=[2**80]), "bad_count"),
        (_raw(catalogue=0), "bad_catalogue"),
        (_raw(catalogue=2**40), "bad_catalogue"),
        (_raw(agent="agent-2"), "agent_mismatch"),
        (_raw(uai=OTHER_UAI), "key_mismatch"),
    ],
)
def test_a_bad_message_is_named_and_stops_nothing(value: bytes, cause: str):
    docket, outcomes = judged(signed(value), signed(AGENT.message(GOOD)))
    assert [letter.code for letter in docket.dead] == [cause]
    assert outcomes == {f"dead_lettered.{cause}": 1, "accepted": 1}


@pytest.mark.parametrize("restatement", [-1, 2**63, 2**70])
def test_a_restatement_that_is_no_instant_is_named(restatement: int):
    bad = Report("web", "day", "2026-03-16", [WEB[0]], [1], restatement=restatement)
    assert causes(signed(msgspec.json.encode(UsageReported("agent-1", UAI, 1, [bad])))) == ["bad_restatement"]


def test_good_reports_beside_a_bad_one_are_kept():
    docket, outcomes = judged(signed(AGENT.message(report("2026-03-16", {1: 1}), GOOD, report("2026-03-15", {-5: 1}))))
    assert outcomes == {"accepted": 1, "dead_lettered.cell_not_in_family": 1}
    assert len(docket.dead) == 1


def test_who_sends_is_proved():
    value = AGENT.message(GOOD)
    stranger = Agent()
    assert causes(
        Record(value),
        Record(value, headers=[("agent", b"nobody")]),
        Record(value, headers=[("agent", b"\xff\xfe")]),
        Record(value, headers=[("agent", b"agent-1")]),
        Record(value, headers=[("agent", b"agent-1"), ("signature", b"%%%")]),
        Record(value, headers=stranger.headers(value)),
        Record(value + b" ", headers=AGENT.headers(value)),
        Record(None, headers=AGENT.headers(b"x")),
        Record(value, headers=[("agent", None), ("signature", None)]),
        Record(value, headers=[("agent", b"agent-1"), ("signature", None)]),
    ) == [
        "no_agent",
        "unknown_agent",
        "unknown_agent",
        "no_signature",
        *["bad_signature"] * 4,
        "no_agent",
        "no_signature",
    ]


def test_a_time_of_append_that_is_none_stops_nothing():
    """Only a topic made by hand, not by its card, lets senders choose it."""
    docket, outcomes = judged(signed(AGENT.message(GOOD), timestamp=1 << 62), signed(AGENT.message(GOOD)))
    assert outcomes == {"dead_lettered.unexpected": 1, "accepted": 1}
    assert not docket.dead[0].vouched


def test_keys_count_by_the_time_of_append():
    old, new = Agent(), Agent()
    edge = NOW - timedelta(days=1)
    keys = [
        AgentKey("agent-1", old.key().public_key, valid_to=edge),
        AgentKey("agent-1", new.key().public_key, valid_from=edge),
    ]
    snapshot = registry([AGENT], keys=keys)
    value = AGENT.message(GOOD)
    before = APPENDED - 2 * 86_400_000
    assert causes(signed(value, by=old, timestamp=before), signed(value, by=new), snapshot=snapshot) == []
    assert causes(signed(value, by=old), snapshot=snapshot) == ["bad_signature"]
    assert causes(signed(value), snapshot=registry([AGENT], keys=keys[:1])) == ["no_valid_key"]


def test_a_uai_is_checked_to_its_letter():
    wrong = UAI[:-1] + ("A" if UAI[-1] != "A" else "B")
    assert causes(signed(AGENT.message(GOOD, to=wrong), key=wrong.encode())) == ["invalid_uai"]
    assert causes(signed(AGENT.message(GOOD, to=UAI.lower()), key=UAI.lower().encode())) == ["invalid_uai"]


@pytest.mark.parametrize(
    ("conventions", "outcome"),
    [
        ([], "refused.no_convention"),
        ([Convention("test", UAI, "consent", valid_from=NOW + timedelta(days=1))], "refused.no_convention"),
        ([Convention("test", UAI, "consent", valid_to=NOW)], "refused.convention_ended"),
        ([Convention("a", UAI, "joint", valid_to=NOW), Convention("b", UAI, "joint")], "accepted"),
    ],
)
def test_a_convention_gates_by_the_clock(conventions: list[Convention], outcome: str):
    _, outcomes = judged(signed(AGENT.message(GOOD)), snapshot=registry([AGENT], conventions=conventions))
    assert outcomes == {outcome: 1}


def test_an_unknown_establishment_is_refused_and_asked_about():
    docket, outcomes = judged(signed(AGENT.message(GOOD)), snapshot=registry([AGENT], uais=(OTHER_UAI,)))
    assert outcomes == {"refused.unknown_establishment": 1}
    assert docket.unknown


@pytest.mark.parametrize(
    ("grant", "start", "grain", "outcome"),
    [
        (Grant("agent-1", UAI, "web", to_day=date(2026, 3, 16)), "2026-03-16", "day", "accepted"),
        (Grant("agent-1", UAI, "web", to_day=date(2026, 3, 15)), "2026-03-16", "day", "parked.outside_grants"),
        (Grant("agent-1", UAI, "web", from_day=date(2026, 3, 31)), "2026-03-01", "month", "accepted"),
        (
            Grant("agent-1", UAI, "web", from_day=date(2026, 3, 17)),
            "2026-03-16T23:00+01:00",
            "hour",
            "parked.outside_grants",
        ),
        (Grant("agent-1", UAI, "web", from_day=date(2026, 3, 17)), "2026-03-17T00:00+01:00", "hour", "accepted"),
        (Grant("agent-1", UAI, "people"), "2026-03-16", "day", "parked.outside_grants"),
        (Grant("agent-1", OTHER_UAI, "web"), "2026-03-16", "day", "parked.outside_grants"),
        (Grant("agent-2", UAI, "web"), "2026-03-16", "day", "parked.outside_grants"),
    ],
)
def test_a_report_beside_its_grants_is_parked(grant: Grant, start: str, grain: str, outcome: str):
    one = report(start, {HOURLY[0] if grain == "hour" else WEB[0]: 1}, grain=grain)
    _, outcomes = judged(signed(AGENT.message(one)), snapshot=registry([AGENT], grants=[grant]))
    assert outcomes == {outcome: 1}


def test_diagnostics_go_with_any_grant():
    small = CATALOGUE.code("diagnostics", "small_profile", "accompagnant")
    one = report("2026-03-01", {small: 1}, family="diagnostics", grain="month")
    granted = registry([AGENT], grants=[Grant("agent-1", UAI, "software")])
    assert judged(signed(AGENT.message(one)), snapshot=granted)[1] == {"accepted": 1}
    assert judged(signed(AGENT.message(one)), snapshot=registry([AGENT], grants=[]))[1] == {"parked.outside_grants": 1}


@pytest.mark.parametrize(
    ("start", "grain", "expected"),
    [
        ("2024-09-01", "day", {"accepted": 1}),
        ("2024-08-31", "day", {"expired.day": 1}),
        ("2025-12-17T00:00+01:00", "hour", {"accepted": 1}),
        ("2025-12-16T23:00+01:00", "hour", {"expired.hour": 1}),
        ("2015-09-01", "month", {"accepted": 1}),
        ("2015-08-01", "month", {"expired.month": 1}),
        ("2026-03-18", "day", {"accepted": 1, "flagged.skew": 1}),
        ("2026-03-19", "day", {"refused.future": 1}),
        ("2026-03-18T12:00+01:00", "hour", {"accepted": 1, "flagged.skew": 1}),
        ("2026-03-18T13:00+01:00", "hour", {"refused.future": 1}),
    ],
)
def test_too_old_and_too_far_ahead(start: str, grain: str, expected: dict[str, int]):
    one = report(start, {HOURLY[0] if grain == "hour" else WEB[0]: 1}, grain=grain)
    assert judged(signed(AGENT.message(one)))[1] == expected


@pytest.mark.parametrize(
    ("start", "expected"),
    [("2026-03-17", "accepted"), ("2024-09-01", "accepted"), ("2024-08-31", "expired.day")],
)
def test_censuses_of_this_school_year_and_the_last_are_taken(start: str, expected: str):
    one = report(start, {CATALOGUE.code("census.comptes", "read"): 1}, family="census.comptes")
    granted = registry([AGENT], grants=[Grant("agent-1", UAI, "census.comptes")])
    assert judged(signed(AGENT.message(one)), snapshot=granted)[1] == {expected: 1}


def test_a_newer_catalogue_is_parked_whatever_it_holds():
    new = report("2026-03-16", {60_000: 4}, family="brand.new")
    docket, outcomes = judged(signed(AGENT.message(new, GOOD, catalogue=CATALOGUE.version + 1)))
    assert outcomes == {"parked.newer_catalogue": 2}
    assert docket.parked[0].state.cells == pack([60_000], [4])
    bad = report("2026-03-16", {70_000: 4}, family="brand.new")
    assert causes(signed(AGENT.message(bad, catalogue=CATALOGUE.version + 1))) == ["cell_not_in_family"]


def test_parked_reports_are_reconsidered():
    docket, _ = judged(signed(AGENT.message(GOOD)), snapshot=registry([AGENT], grants=[]))
    again = Docket(index(registry([AGENT])), NUMBERS, NOW)
    assert list(as_states(*again.reconsider(docket.parked))) == judged(signed(AGENT.message(GOOD)))[0].accepted  # type: ignore[attr-defined]
    ended = registry([AGENT], conventions=[Convention("test", UAI, "joint", valid_to=NOW)])
    waiting = Docket(index(ended), NUMBERS, NOW)
    assert (list(as_states(*waiting.reconsider(docket.parked))), waiting.parked) == ([], docket.parked)


def test_a_parked_report_that_breaks_its_checks_waits_and_stops_nothing():
    """Seen with a registry restored from before its agent's key: every start failed on it."""
    docket, _ = judged(signed(AGENT.message(GOOD)), snapshot=registry([AGENT], grants=[]))
    keyless = Docket(index(registry([AGENT], keys=[])), {}, NOW)
    assert (list(as_states(*keyless.reconsider(docket.parked))), keyless.parked) == ([], docket.parked)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["family", "grain", "start", "cells", "counts", "restatement", "cut"]), _JSON))
def test_whatever_a_signed_message_holds_nothing_breaks(changes: dict[str, object]):
    one = {"family": "web", "grain": "day", "start": "2026-03-16", "cells": [WEB[0]], "counts": [1], **changes}
    value = msgspec.json.encode({"agent": "agent-1", "uai": UAI, "catalogue": 1, "reports": [one]})
    docket, outcomes = judged(signed(value))
    assert sum(outcomes.values()) >= 1
    assert "unexpected" not in {letter.code for letter in docket.dead}


def test_an_establishment_elsewhere_has_its_own_day():
    snapshot = registry([AGENT], establishments=[Establishment(UAI, "x", "college", "Pacific/Auckland")])
    late = NOW.replace(hour=23)
    assert judged(signed(AGENT.message(report("2026-03-18", {WEB[0]: 1}))), snapshot=snapshot, now=late)[1] == {
        "accepted": 1
    }
