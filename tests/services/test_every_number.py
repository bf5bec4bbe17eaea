"""Every number of every table, against the plain second count: random territories at instants that are easy to count wrongly.

The agents' code counts, the aggregator's folds, the query's answers; the stories (tests/e2e) add the servers between them.
"""

from __future__ import annotations

import os
import random
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from tests.support.asking import differences, every_question, sorted_and_searched
from tests.support.oracle import Oracle
from tests.support.territories import write_nasty
from tests.support.territory_censuses import add_censuses
from tests.support.territory_logs import add_both, add_logs
from tests.support.without_servers import WithoutServers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

SEED = int(os.environ.get("TERRITORIALE_TEST_SEED") or random.SystemRandom().randrange(10**6))
"""Printed with every failure; set TERRITORIALE_TEST_SEED to replay it."""
INSTANTS = {
    "school year half an hour old, not overseas": "2026-09-01T00:30:00+02:00",
    "school year over in La Réunion only": "2026-08-31T22:45:00+02:00",
    "first day of a month, after a leap February": "2028-03-01T09:00:00+01:00",
    "the night of 25 hours": "2026-10-25T02:30:00+01:00",
    "before accompanying staff, forums and useful links": "2019-11-20T12:00:00+01:00",
    "first year of half of the indicators, last one without .Net of staff before it": "2014-12-01T00:10:00+01:00",
}


@pytest.mark.parametrize("now", INSTANTS.values(), ids=INSTANTS)
def test_the_same_as_a_plain_second_count(tmp_path: Path, now: str):
    instant = datetime.fromisoformat(now).astimezone(ZoneInfo("Europe/Paris"))
    territory = write_nasty(tmp_path / "territory", SEED, instant)
    add_censuses(territory, SEED, instant)
    add_logs(territory, SEED, instant)
    add_both(territory, SEED, instant)
    product = WithoutServers(tmp_path / "territory", tmp_path / "agent", instant)
    oracle, draw = Oracle(tmp_path / "territory", instant), random.Random(SEED)
    found: list[str] = []
    for table, question in every_question(oracle, draw, by_level=1):
        found += differences(product, oracle, table, as_csv=draw.random() < 0.2, **question)
    for table, question in sorted_and_searched(oracle, draw, times=30):
        found += differences(product, oracle, table, **question)
    assert not found, f"seed {SEED}: {len(found)} differences\n" + "\n".join(found[:60])
