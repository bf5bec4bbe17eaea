"""From signed messages in a real Kafka to sheets in a real PostgreSQL: what is merged, set aside, parked, let in."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import click
import pytest
from aiokafka import AIOKafkaConsumer
from click.testing import CliRunner
from structlog.testing import capture_logs

from contracts import counters_updated
from contracts.catalogue import CATALOGUE
from contracts.registry import Convention, Establishment, Grant
from contracts.usage_reported import Report
from services.aggregator import admission, handlers, parking, service
from services.aggregator import registry as registry_client
from services.aggregator.cli import dlq
from services.aggregator.cli import rebuild as rebuild_command
from services.aggregator.tables import MONTH
from tests.services.aggregator.stage import (
    HOURLY,
    NOW,
    OTHER_UAI,
    PEOPLE,
    UAI,
    WEB,
    Agent,
    RegistryServer,
    Stage,
    has_outcome,
    notify,
    rebuilt,
    registry,
    report,
    until,
)
from tests.support.servers import PostgresServer

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
        named = "select profile, channel, access, count from usage.sheet_cells where grain = 'day' and count = 500"
        cell = CATALOGUE.cells[WEB[4]]
        assert await stage.query(named) == [(cell.profile, cell.channel, cell.access, 500)]


def _states(rng: random.Random) -> list[Report]:
    """An agent's growing states of a few weeks, as it would publish them."""
    totals: dict[tuple[str, str], dict[int, int]] = {}
    published = []
    for _ in range(60):
        day = date(2026, 2, 20) + timedelta(days=rng.randrange(20))
        family, codes = rng.choice([("web", WEB), ("people", PEOPLE)])
        grain = "day" if family == "web" else rng.choice(["day", "month", "school_year"])
        start = {"day": day, "month": day.replace(day=1), "school_year": date(2025, 9, 1)}[grain].isoformat()
        state = totals.setdefault((family, start), {})
        for code in rng.sample(codes, 3):
            state[code] = state.get(code, 0) + rng.choice([1, 2, 200, 70_000])
        published.append(report(start, dict(state), family=family, grain=grain, cut=rng.random() < 0.1))
        hour = f"{day}T{rng.randrange(7, 18):02d}:00+01:00"
        published.append(report(hour, {rng.choice(HOURLY): rng.randrange(1, 9)}, grain="hour"))
    return published


async def test_doubled_shuffled_and_read_again_from_the_start_the_sheets_are_the_same(
    stage: Stage, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    rng = random.Random(20260317)
    messages = [stage.agent.message(*chunk) for chunk in _chunks(_states(rng), 3)]
    async with stage.running():
        await stage.send(*messages)
        await stage.drained()
        expected = await stage.image()
    monkeypatch.setattr(handlers, "GROUP", "aggregator-again")
    async with stage.running(flush_messages=7):
        await until(lambda: has_outcome(stage, "accepted", 240))
        assert await stage.image() == expected
    with postgres.database() as fresh:
        other = Stage(stage.kafka, fresh.usage, stage.identity, agent=stage.agent)
        shuffled = messages + rng.sample(messages, len(messages) // 3)
        rng.shuffle(shuffled)
        async with other.running(flush_messages=5):
            await other.send(*shuffled)
            await until(lambda: has_outcome(other, "accepted", sum(message.count(b'"family"') for message in shuffled)))
            assert await other.image() == expected


def _chunks(reports: list[Report], n: int) -> list[list[Report]]:
    return [reports[first : first + n] for first in range(0, len(reports), n)]


async def test_a_newer_catalogue_waits_for_the_upgrade(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    newer = CATALOGUE.version + 1
    async with stage.running():
        await stage.send(
            stage.agent.message(report("2026-03-16", {WEB[0]: 3}), catalogue=newer),
            stage.agent.message(report("2026-03-16", {WEB[0]: 2, WEB[1]: 1}), catalogue=newer),
        )
        await stage.drained()
        assert await stage.sheets() == {}
        assert await stage.query("select cause, catalogue from usage.parked") == [("newer_catalogue", newer)]
    for module in (admission, service):
        monkeypatch.setattr(module, "CATALOGUE", replace(CATALOGUE, version=newer))
    async with stage.running():
        assert (await stage.sheets())[UAI, "day", date(2026, 3, 16)] == {WEB[0]: 3, WEB[1]: 1}
        assert await stage.query("select 1 from usage.parked") == []


async def test_one_agent_cannot_fill_the_disk_with_what_nobody_can_check_yet(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(parking, "NEWER_LIMIT", 3)
    other, newer = Agent("agent-2"), CATALOGUE.version + 1
    stage.identity.snapshot = registry([stage.agent, other])
    days = [report(f"2026-03-{day:02d}", {60_000: day}, family="brand.new") for day in range(1, 6)]
    async with stage.running():
        await stage.send(stage.agent.message(*days[:2], catalogue=newer), stage.agent.message(*days, catalogue=newer))
        await stage.send(other.message(days[4], catalogue=newer), by=other)
        await stage.drained()
        waiting = "select agent, count(*)::int from usage.parked group by 1 order by 1"
        assert await stage.query(waiting) == [("agent-1", 3), ("agent-2", 1)]
        assert await stage.outcomes() == {"parked.newer_catalogue": 6, "refused.parked_full": 2}


async def test_a_parked_report_waits_for_the_newest_catalogue_that_is_in_it(stage: Stage):
    stage.identity.snapshot = registry([stage.agent], grants=[])
    newer = CATALOGUE.version + 1
    async with stage.running():
        await stage.send(stage.agent.message(report("2026-03-16", {60_000: 3}), catalogue=newer))
        await stage.drained()
        with capture_logs() as logs:
            await stage.send(stage.agent.message(report("2026-03-16", {WEB[0]: 3})))
            await stage.drained()
        assert await stage.query("select catalogue from usage.parked") == [(newer,)]
        assert [line["reports"] for line in logs if "reports" in line] == [{"agent-1": 1}]
        stage.identity.snapshot = registry([stage.agent], version=2)
        await notify(stage)
        await stage.send(stage.agent.message(report("2026-03-15", {WEB[0]: 3})))
        await until(lambda: has_outcome(stage, "accepted", 1))
        assert await stage.query("select catalogue from usage.parked") == [(newer,)]


async def test_what_is_outside_grants_waits_for_one(stage: Stage):
    everything = registry([stage.agent], uais=(UAI, OTHER_UAI))
    granted = [grant for grant in everything.grants if grant.uai == UAI and grant.family == "web"]
    stage.identity.snapshot = registry([stage.agent], uais=(UAI, OTHER_UAI), grants=granted)
    async with stage.running():
        await stage.send(stage.agent.message(report("2026-03-16", {PEOPLE[0]: 3}, family="people")))
        await stage.send(stage.agent.message(report("2026-03-16", {WEB[0]: 3}), to=OTHER_UAI), to=OTHER_UAI)
        await stage.drained()
        assert await stage.sheets() == {}
        assert await stage.query("select cause, count(*) from usage.parked group by 1") == [("outside_grants", 2)]
        people = [*granted, Grant("agent-1", UAI, "people")]
        stage.identity.snapshot = registry([stage.agent], version=2, uais=(UAI, OTHER_UAI), grants=people)
        await notify(stage)
        await until(lambda: has_outcome(stage, "accepted", 1))
        assert (await stage.sheets())[UAI, "day", date(2026, 3, 16)] == {PEOPLE[0]: 3}
        assert await stage.query("select uai from usage.parked") == [(OTHER_UAI,)]


async def test_news_that_a_flush_met_first_let_parked_reports_in_too(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    """The notice that follows brings nothing new: what was parked stayed so until the next change, or for ever."""
    monkeypatch.setattr(registry_client, "ASK_AGAIN_AFTER_S", 0.0)
    stage.identity.snapshot = registry([stage.agent], grants=[])
    async with stage.running():
        await stage.send(stage.agent.message(report("2026-03-16", {WEB[0]: 3})))
        await stage.drained()
        stage.identity.snapshot = registry([stage.agent], version=2)
        await stage.send(b"{}", by=Agent("stranger"))
        await stage.drained()
        assert await stage.sheets() == {}
        await notify(stage)
        await until(lambda: has_outcome(stage, "accepted", 1))


async def test_something_unknown_makes_it_ask_identity_at_once(stage: Stage):
    newcomer = Agent("newcomer")
    async with stage.running():
        stage.identity.snapshot = registry([stage.agent, newcomer], version=2)
        await until(lambda: _seen(stage, newcomer))
        assert await stage.sheets()


async def _seen(stage: Stage, newcomer: Agent) -> bool:
    """An agent enrolled a moment ago is known within a second: its first messages may still be dead letters, then none."""
    await stage.send(newcomer.message(report("2026-03-16", {WEB[0]: 3})), by=newcomer)
    await stage.drained()
    return bool(await stage.sheets())


async def test_without_convention_nothing_is_kept(stage: Stage):
    stage.identity.snapshot = registry(
        [stage.agent],
        uais=(UAI, OTHER_UAI),
        conventions=[Convention("test", UAI, "consent", valid_to=NOW - timedelta(days=1))],
    )
    async with stage.running():
        await stage.send(stage.agent.message(report("2026-03-16", {WEB[0]: 3})))
        await stage.send(stage.agent.message(report("2026-03-16", {WEB[0]: 3}), to=OTHER_UAI), to=OTHER_UAI)
        await stage.drained()
        assert await stage.outcomes() == {"refused.convention_ended": 1, "refused.no_convention": 1}
        assert await stage.image() == []


async def test_two_agents_are_added_up_and_their_people_are_the_greatest(stage: Stage):
    second = Agent("agent-2")
    stage.identity.snapshot = registry([stage.agent, second])
    async with stage.running():
        for agent, people in ((stage.agent, 7), (second, 4)):
            await stage.send(
                agent.message(
                    report("2026-03-16", {WEB[0]: 10}),
                    report("2026-03-01", {PEOPLE[0]: people}, family="people", grain="month"),
                ),
                by=agent,
            )
        await stage.drained()
        assert (await stage.sheets())[UAI, "month", date(2026, 3, 1)] == {WEB[0]: 20, PEOPLE[0]: 7}
        flags = await stage.query("select grain, cut_families from usage.sheets order by 1")
        assert flags == [(1, 0), (2, 1 << CATALOGUE.families["people"].number), (3, 0)]


async def test_a_restatement_replaces_and_what_is_older_is_counted(stage: Stage):
    day = "2026-03-16"
    async with stage.running():
        for cells, restatement in (({WEB[0]: 9, WEB[1]: 9}, 0), ({WEB[0]: 5}, 1_773_000_000), ({WEB[0]: 50}, 0)):
            await stage.send(stage.agent.message(report(day, cells, restatement=restatement)))
            await stage.drained()
        assert (await stage.sheets())[UAI, "school_year", date(2025, 9, 1)] == {WEB[0]: 5}
        assert (await stage.outcomes())["lower_restatement"] == 1
        assert await stage.query("select uai, highest from usage.restatements") == [(UAI, 1_773_000_000)]


async def test_readers_are_told_what_changed(stage: Stage):
    async with stage.running():
        consumer = AIOKafkaConsumer(
            stage.prefix + counters_updated.TOPIC, bootstrap_servers=stage.kafka, auto_offset_reset="earliest"
        )
        await consumer.start()
        await stage.send(
            stage.agent.message(
                report("2026-03-16", {PEOPLE[0]: 3}, family="people"),
                report("2026-03-16T10:00+01:00", {HOURLY[0]: 3}, grain="hour"),
            )
        )
        record = await consumer.getone()
        await consumer.stop()
        assert record.key == UAI.encode()
        grains = '["hour","day","month","school_year"]'
        assert record.value.decode() == f'{{"uai":"{UAI}","families":["people","web"],"grains":{grains}}}'


async def test_hours_are_kept_by_instant_with_their_sum(stage: Stage):
    stage.now = datetime(2025, 10, 27, 10, tzinfo=UTC)
    async with stage.running():
        await stage.send(
            stage.agent.message(
                report("2025-10-26T02:00+02:00", {HOURLY[0]: 3, HOURLY[1]: 4}, grain="hour"),
                report("2025-10-26T02:00+01:00", {HOURLY[0]: 5}, grain="hour"),
            )
        )
        await stage.drained()
        rows = await stage.query("select start, total from usage.hours order by 1")
        assert rows == [(datetime(2025, 10, 26, 0, tzinfo=UTC), 7), (datetime(2025, 10, 26, 1, tzinfo=UTC), 5)]
        assert await stage.sheets() == {}


async def test_sheets_are_rebuilt_from_the_reports(stage: Stage):
    async with stage.running():
        await stage.send(*[stage.agent.message(*chunk) for chunk in _chunks(_states(random.Random(5)), 4)])
        await stage.drained()
        expected = await stage.image()
        assert await rebuilt(stage) == 0
        await stage.query(f"delete from usage.sheets where grain = {MONTH}")
        await stage.query("update usage.sheets set cells = '\\x0100040909', folded = ''")
        await stage.query("insert into usage.sheets values ($1, 1, '2020-01-01', '', '', 0, now(), false)", UAI)
        assert await rebuilt(stage) > 0
        assert await stage.image() == expected


async def test_operators_have_commands_for_dead_letters_and_sheets(stage: Stage):
    async with stage.running():
        await stage.send(b"{", stage.agent.message(report("2026-03-16", {WEB[0]: 3})))
        await stage.drained()
        (listed,) = json.loads(await _command(stage, dlq, "list", "--json"))
        assert (listed["cause"], listed["agent"], listed["key"], listed["bytes"]) == ("malformed", "agent-1", UAI, 1)
        assert await _command(stage, dlq, "list", "--cause", "oversize") == "0 dead letter(s)\n"
        assert (await _command(stage, dlq, "show", listed["id"])).endswith("\n\n{\n")
        assert "no dead letter 99:1" in await _command(stage, dlq, "replay", "99:1", code=1)
        assert json.loads(await _command(stage, dlq, "replay", listed["id"], "--json")) == {"sent": 1}
        await until(lambda: has_outcome(stage, "dead_lettered.malformed", 2))
        assert "is not a UAI" in await _command(stage, rebuild_command, "--uai", "everything", code=2)
        await stage.query("delete from usage.sheets")
        assert json.loads(await _command(stage, rebuild_command, "--json")) == {"sheets_changed": 3}
        assert len(await stage.sheets()) == 3


async def _command(stage: Stage, command: click.Command, *arguments: str, code: int = 0) -> str:
    runner = CliRunner()
    result = await asyncio.to_thread(runner.invoke, command, arguments, env=stage.environment())
    assert result.exit_code == code, result.output
    return result.output


async def test_while_identity_is_away_the_last_registry_stands(kafka: str, usage_database: str):
    agent = Agent()
    with RegistryServer(
        registry([agent], establishments=[Establishment(UAI, "x", "ecole", "Europe/Paris")])
    ).serving() as identity:
        stage = Stage(kafka, usage_database, identity, agent=agent)
        running = stage.running()
        await running.__aenter__()
    try:
        stranger = Agent("stranger")
        await stage.send(stranger.message(report("2026-03-16", {WEB[0]: 3})), by=stranger)
        await stage.send(agent.message(report("2026-03-16", {WEB[0]: 3})))
        await stage.drained()
        assert await stage.outcomes() == {"accepted": 1, "dead_lettered.unknown_agent": 1}
    finally:
        await running.__aexit__(None, None, None)
