"""`agent check` says of every source what would be counted and what is set aside, and why: the same as a plain second count."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.support.agents import agent_for
from tests.support.oracle import Oracle
from tests.support.territories import CANARY, write_nasty
from tests.support.territory_censuses import add_censuses
from tests.support.territory_logs import add_logs

pytestmark = pytest.mark.e2e

SEED = int(os.environ.get("TERRITORIALE_TEST_SEED") or random.SystemRandom().randrange(10**6))
INSTANTS = [
    "2026-10-26T22:30:00+01:00",
    "2026-03-30T01:15:00+02:00",
    "2026-09-01T00:30:00+02:00",
    "2027-01-15T12:00:00+01:00",
]


@pytest.mark.parametrize("now", INSTANTS)
def test_what_is_set_aside_and_what_counts(tmp_path, now):
    instant = datetime.fromisoformat(now).astimezone(ZoneInfo("Europe/Paris"))
    territory = write_nasty(tmp_path / "territory", SEED, instant)
    add_censuses(territory, SEED, instant)
    add_logs(territory, SEED, instant)
    agent = agent_for(
        tmp_path / "territory", tmp_path / "agent", name="a", seed=b"a", bootstrap="nowhere:9", now=instant
    )
    command = [sys.executable, "-m", "territoriale", "agent", "check", "--settings", str(agent.settings), "--json"]
    environment = {**os.environ, "TERRITORIALE_NOW": now}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert CANARY not in said.stdout + said.stderr, "a line that cannot be read is not shown either"
    oracle = Oracle(tmp_path / "territory", instant)
    for line in json.loads(said.stdout)["establishments"]:
        counted = oracle.counted[line["uai"]]
        channels = Counter("software" if fact.channel == "software" else "web" for fact in counted.journal.connections)
        themes: Counter[str] = Counter()
        for fact in counted.journal.activities:
            themes[f"activities.{fact.theme}"] += fact.n
        expected = {**channels, **themes}
        got = {
            family: count
            for family, count in line["counts"].items()
            if family in {"web", "software"} or "activities" in family
        }
        aside = {reason: count for reason, count in line["set_aside"].items() if count}
        assert (line["uai"], got, aside) == (line["uai"], expected, dict(counted.journal.set_aside)), f"seed {SEED}"
