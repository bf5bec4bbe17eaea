"""From a signed message in a real Kafka to sheets in a real PostgreSQL."""

from __future__ import annotations

from datetime import date

import pytest

from tests.services.aggregator.stage import UAI, WEB, Stage, report

pytestmark = pytest.mark.connected


async def test_a_report_becomes_a_day_a_month_and_a_school_year(stage: Stage):
    async with stage.running():
        await stage.send(stage.agent.message(report("2026-03-16", {WEB[0]: 3, WEB[4]: 500})))
        await stage.drained()
        expected = {WEB[0]: 3, WEB[4]: 500}
        assert await stage.sheets() == {
            (UAI, "day", date(2026, 3, 16)): expected,
            (UAI, "month", date(2026, 3, 1)): expected,
            (UAI, "school_year", date(2025, 9, 1)): expected,
        }
        assert await stage.outcomes() == {"accepted": 1}
