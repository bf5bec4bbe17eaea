"""From signed messages in a real Kafka to sheets in a real PostgreSQL: what is merged, set aside, parked, let in."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import click
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from click.testing import CliRunner

from contracts import counters_updated, identity_changed
from contracts.catalogue import CATALOGUE
from contracts.registry import Convention, Establishment, Grant
from contracts.usage_reported import Report
from services.aggregator import admission, handlers
from services.aggregator.cli import dlq
from services.aggregator.cli import rebuild as rebuild_command
from services.aggregator.dead_letter_box import letters, replay
from services.aggregator.dead_letters import AGENT_LIMIT
from services.aggregator.rebuild import rebuild
from services.aggregator.tables import DAY, MONTH
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
        await until(lambda: _outcome(stage, "accepted", 240))
        assert await stage.image() == expected
    with postgres.database() as fresh:
        other = Stage(stage.kafka, fresh.usage, stage.identity, agent=stage.agent)
        shuffled = messages + rng.sample(messages, len(messages) // 3)
        rng.shuffle(shuffled)
        async with other.running(flush_messages=5):
            await other.send(*shuffled)
            await until(lambda: _outcome(other, "accepted", sum(message.count(b'"family"') for message in shuffled)))
            assert await other.image() == expected


def _chunks(reports: list[Report], n: int) -> list[list[Report]]:
    return [reports[first : first + n] for first in range(0, len(reports), n)]


async def _outcome(stage: Stage, outcome: str, at_least: int) -> bool:
    return (await stage.outcomes()).get(outcome, 0) >= at_least


async def test_poison_is_set_aside_with_its_cause_and_the_partition_goes_on(stage: Stage):
    agent, stranger = stage.agent, Agent()
    good = agent.message(report("2026-03-16", {WEB[0]: 3}))
    key = UAI.encode()
    async with stage.running():
        await stage.send_raw(
            (key, b"\x00\xff{", agent.headers(b"\x00\xff{")),
            (key, None, [("agent", b"agent-1"), ("odd", b"\xff\xfe")]),
            (None, good, agent.headers(good)),
            (key, good, stranger.headers(good)),
            (OTHER_UAI.encode(), good, agent.headers(good)),
            (key, b"[" * 600_000, agent.headers(b"[" * 600_000)),
            (key, good, []),
            (key, good, [("agent", None), ("signature", None)]),
            (key, good, agent.headers(good)),
        )
        await stage.drained()
        dead = sorted(letter["dlq-cause"] for letter in await stage.dead_letters())
        assert dead == [
            "bad_signature",
            "key_mismatch",
            "key_mismatch",
            "malformed",
            "no_agent",
            "no_agent",
            "no_signature",
            "oversize",
        ]
        assert (await stage.sheets())[UAI, "day", date(2026, 3, 16)] == {WEB[0]: 3}
        assert all(
            letter["dlq-topic"] == stage.topic and "dlq-offset" in letter for letter in await stage.dead_letters()
        )


async def test_ten_megabytes_are_refused_by_the_broker(stage: Stage):
    async with stage.running():
        producer = AIOKafkaProducer(bootstrap_servers=stage.kafka, max_request_size=20_000_000)
        await producer.start()
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(stage.topic, b" " * 10_000_000, UAI.encode())
        await producer.stop()


async def test_a_noisy_agent_is_quarantined_by_itself(stage: Stage):
    noisy = Agent("noisy")
    stage.identity.snapshot = registry([stage.agent, noisy])
    poison = noisy.message(report("2026-03-16", {1: 1}))
    async with stage.running():
        await stage.send(*[poison] * (AGENT_LIMIT + 40), by=noisy)
        await stage.send(stage.agent.message(report("2026-03-16", {WEB[0]: 3})), b"{")
        await stage.drained()
        by = [letter["dlq-agent"] for letter in await stage.dead_letters()]
        assert (by.count("noisy"), by.count("agent-1")) == (AGENT_LIMIT, 1)
        assert (await stage.outcomes())["dead_lettered.cell_not_in_family"] == AGENT_LIMIT + 40
        await stage.send(noisy.message(report("2026-03-17", {WEB[0]: 5})), by=noisy)
        await stage.drained()
        assert (await stage.sheets())[UAI, "day", date(2026, 3, 17)] == {WEB[0]: 5}


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
    monkeypatch.setattr(admission, "CATALOGUE", replace(CATALOGUE, version=newer))
    async with stage.running():
        assert (await stage.sheets())[UAI, "day", date(2026, 3, 16)] == {WEB[0]: 3, WEB[1]: 1}
        assert await stage.query("select 1 from usage.parked") == []


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
        await _notify(stage)
        await until(lambda: _outcome(stage, "accepted", 1))
        assert (await stage.sheets())[UAI, "day", date(2026, 3, 16)] == {PEOPLE[0]: 3}
        assert await stage.query("select uai from usage.parked") == [(OTHER_UAI,)]


async def _notify(stage: Stage) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=stage.kafka)
    await producer.start()
    notice = identity_changed.encode(identity_changed.IdentityChanged(2, "grant", (UAI,)))
    await producer.send_and_wait(stage.prefix + identity_changed.TOPIC, notice, UAI.encode())
    await producer.stop()


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


async def test_what_is_past_its_time_is_purged_and_its_sheets_are_frozen(stage: Stage):
    pages = [report("2025-03-10", {WEB[0]: 3}), report("2024-12-02T10:00+01:00", {HOURLY[0]: 3}, grain="hour")]
    stage.now = datetime(2025, 3, 1, tzinfo=UTC)
    stage.identity.snapshot = registry([stage.agent], uais=(UAI, OTHER_UAI))
    async with stage.running():
        stage.now = datetime(2025, 3, 11, tzinfo=UTC)
        await stage.send(stage.agent.message(pages[1]))
        await stage.drained()
    async with stage.running():
        await until(lambda: _empty(stage, "select 1 from usage.hours"))
        await stage.send(
            stage.agent.message(pages[0], report("2025-03-01", {PEOPLE[0]: 2}, family="people", grain="month"))
        )
        await stage.drained()
    stage.now = datetime(2026, 9, 2, tzinfo=UTC)
    async with stage.running():
        await until(lambda: _empty(stage, f"select 1 from usage.reports where grain = {DAY}"))
        before = await stage.sheets()
        assert before == {
            (UAI, "month", date(2025, 3, 1)): {WEB[0]: 3, PEOPLE[0]: 2},
            (UAI, "school_year", date(2024, 9, 1)): {WEB[0]: 3},
        }
        late = report("2025-03-01", {PEOPLE[0]: 9}, family="people", grain="month")
        await stage.send(stage.agent.message(late, pages[0]))
        await stage.drained()
        assert await stage.sheets() == before
        assert (await stage.outcomes())["expired.day"] == 1
        assert (await stage.outcomes())["refused.frozen"] == 1
        assert await _rebuild(stage) == 0
        assert await stage.sheets() == before
    ended = [Convention("test", UAI, "consent", valid_to=stage.now - timedelta(days=60))]
    stage.identity.snapshot = registry([stage.agent], version=3, conventions=ended)
    async with stage.running():
        await until(lambda: _empty(stage, "select 1 from usage.sheets union all select 1 from usage.reports"))
        assert await stage.image() == []


async def _empty(stage: Stage, sql: str) -> bool:
    return await stage.query(sql) == []


async def _rebuild(stage: Stage, wanted: str = UAI) -> int:
    from services.aggregator import store

    async with store.pool(stage.database) as pool:
        return await rebuild(pool, [wanted], lambda *_: None)


async def test_sheets_are_rebuilt_from_the_reports(stage: Stage):
    async with stage.running():
        await stage.send(*[stage.agent.message(*chunk) for chunk in _chunks(_states(random.Random(5)), 4)])
        await stage.drained()
        expected = await stage.image()
        assert await _rebuild(stage) == 0
        await stage.query(f"delete from usage.sheets where grain = {MONTH}")
        await stage.query("update usage.sheets set cells = '\\x0100040909', folded = ''")
        await stage.query("insert into usage.sheets values ($1, 1, '2020-01-01', '', '', 0, now(), false)", UAI)
        assert await _rebuild(stage) > 0
        assert await stage.image() == expected


async def test_dead_letters_are_listed_and_sent_again(stage: Stage):
    late = Agent("late")
    async with stage.running():
        await stage.send(late.message(report("2026-03-16", {WEB[0]: 3})), by=late)
        await stage.drained()
        found = [letter async for letter in letters(stage.kafka, stage.prefix)]
        assert [(letter.cause, letter.summary()["key"]) for letter in found] == [("unknown_agent", UAI)]
        stage.identity.snapshot = registry([stage.agent, late], version=2)
        await _notify(stage)
        await until(lambda: _known(stage, late))
        assert await replay(stage.kafka, found, stage.prefix) == 1
        await until(lambda: _outcome(stage, "accepted", 1))
        assert (await stage.sheets())[UAI, "day", date(2026, 3, 16)] == {WEB[0]: 3}


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
        await until(lambda: _outcome(stage, "dead_lettered.malformed", 2))
        await stage.query("delete from usage.sheets")
        assert json.loads(await _command(stage, rebuild_command, "--json")) == {"sheets_changed": 3}
        assert len(await stage.sheets()) == 3


async def _command(stage: Stage, command: click.Command, *arguments: str, code: int = 0) -> str:
    runner = CliRunner()
    result = await asyncio.to_thread(runner.invoke, command, arguments, env=stage.environment())
    assert result.exit_code == code, result.output
    return result.output


async def _known(stage: Stage, agent: Agent) -> bool:
    return bool(await stage.query("select 1 from usage.agents where id = $1", agent.name)) or await _poked(stage)


async def _poked(stage: Stage) -> bool:
    """Agents are numbered when the next message is judged."""
    await stage.send(b"{")
    await stage.drained()
    return False


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
