"""Messages of the benches are such as the platform accepts: a bench of refused messages would be fast."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from bench.traffic import (
    KEY,
    TODAY,
    Message,
    Work,
    backlog,
    days_before,
    evenings,
    school_years,
    uais_of,
)
from contracts.signing import SIGNATURE_HEADER, verify
from contracts.uai import parse_uai
from contracts.usage_reported import MAX_MESSAGE_BYTES, Report, decode, validate

UAIS = uais_of(2)
FIRST = date(2025, 9, 1)


def year() -> Work:
    return next(school_years(UAIS[:1], FIRST, FIRST + timedelta(days=300), FIRST + timedelta(days=211)))


def reports_of(message: Message) -> list[Report]:
    return decode(message.value).reports


@pytest.mark.parametrize("work", [backlog(UAIS, 3), evenings(UAIS, days_before(TODAY, 2)), year()])
def test_messages_are_valid_signed_and_counted(work: Work):
    for message in work.messages:
        assert parse_uai(message.key.decode()) == decode(message.value).uai
        assert verify(KEY.public_key(), dict(message.headers)[SIGNATURE_HEADER], message.value)
        assert len(message.value) <= MAX_MESSAGE_BYTES
    reports = [report for message in work.messages for report in reports_of(message)]
    for report in reports:
        validate(report)
    assert (work.reports, work.facts) == (len(reports), sum(len(report.cells) for report in reports))


def test_a_backlog_only_grows():
    first, *_, last = (reports_of(message) for message in backlog(UAIS[:1], 3).messages)
    for before, after in zip(first, last, strict=True):
        assert (before.family, before.start, before.cells) == (after.family, after.start, after.cells)
        assert [b + 2 for b in before.counts] == after.counts


@pytest.mark.parametrize("work", [evenings(UAIS, days_before(TODAY, 3)), year()])
def test_what_is_sent_apart_is_sent_once(work: Work):
    """Storage is weighed by what was sent: nothing may be sent twice."""
    keys = [
        (message.key, report.family, report.grain, report.start)
        for message in work.messages
        for report in reports_of(message)
    ]
    assert len(keys) == len(set(keys))
