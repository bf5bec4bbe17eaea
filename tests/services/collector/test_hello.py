"""Hello: what the platform says is obeyed while the agent runs, remembered while it is away, and asked before restatements."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.catalogue import CATALOGUE
from contracts.fleet import FamilyStanding, Resend
from services.collector.clock import AgentClock, skew
from services.collector.errors import KeyRefusedError, NotDeliveredError, TooOldError
from services.collector.keys import KeyRing
from services.collector.knowledge import Knowledge
from services.collector.state import open_state
from services.collector.store import Store
from services.collector.version import is_older
from tests.services.collector.fleet import FAMILIES, agent_in, enrolled, run_until_idle, running, seen, write_journal
from tests.services.collector.school import NOW, UAI
from tests.support.fleet_platform import FleetPlatform, RefusedError

OTHER = "0750663N"


@pytest.fixture(autouse=True)
def held_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRITORIALE_NOW", NOW.isoformat())
    monkeypatch.delenv("TERRITORIALE_KAFKA", raising=False)
    monkeypatch.setattr("services.collector.agent.FIRST_PAUSE", 0.02)


@pytest.fixture
def platform() -> Iterator[FleetPlatform]:
    with FleetPlatform() as platform:
        platform.serve(UAI, *FAMILIES)
        yield platform


@pytest.fixture
async def folder(platform: FleetPlatform, tmp_path: Path) -> Path:
    write_journal(tmp_path, seen())
    await enrolled(platform, tmp_path)
    return tmp_path


def _knowledge(folder: Path) -> Knowledge:
    store = Store(folder / "agent.sqlite", read_only=True)
    try:
        return store.memory.knowledge()
    finally:
        store.close()


async def test_from_the_code_to_the_first_number(platform: FleetPlatform, folder: Path) -> None:
    await run_until_idle(folder)
    assert platform.web(UAI) == 1
    (hello,) = platform.hellos
    assert (hello.agent, hello.catalogue, hello.problems) == ("agent-1", CATALOGUE.version, 0)
    assert len(hello.state) == 16
    await run_until_idle(folder)
    assert platform.hellos[1].state == hello.state, "the same state file has the same name"


async def test_refused_reports_wait_as_long_as_they_are_told(platform: FleetPlatform, folder: Path) -> None:
    platform.refusals = [RefusedError(429, "too_many", {"Retry-After": "0"}), RefusedError(503, "unavailable")]
    await run_until_idle(folder)
    assert platform.web(UAI) == 1


@pytest.mark.parametrize(("status", "words"), [(413, "413"), (422, "422"), (403, "no_convention")])
async def test_a_message_that_will_never_do_is_told_and_holds_up_no_other(
    platform: FleetPlatform, folder: Path, status: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_journal(folder, seen(), uai=OTHER)
    platform.serve(OTHER, *FAMILIES)
    (folder / "agent.toml").write_text(
        (folder / "agent.toml").read_text()
        + f'[[establishment]]\nuai = "{OTHER}"\nzone = "Europe/Paris"\ntype = "college"\nsources = "sources/{OTHER}"\n'
    )
    platform.refusals = [RefusedError(status, "no_convention")]
    await run_until_idle(folder)
    assert (platform.web(UAI), platform.web(OTHER)) == (0, 1)
    async with agent_in(folder) as agent:
        problems = agent._store.problems.of(1)["message_refused"]
        assert words in problems[0]
        await agent.run_until_idle()
        assert platform.web(UAI) == 1, "it stayed marked, and is sent again"
        assert agent._store.problems.of(1) == {}


async def test_a_key_that_ended_is_told_at_once(platform: FleetPlatform, folder: Path) -> None:
    platform.keys.clear()
    with pytest.raises(KeyRefusedError, match="enrol"):
        await run_until_idle(folder)


async def test_nothing_is_published_by_a_version_too_old_but_everything_is_counted(
    platform: FleetPlatform, folder: Path
) -> None:
    platform.minimum_version = "99.0"
    with pytest.raises(TooOldError, match="upgrade"):
        await run_until_idle(folder)
    assert platform.messages == []
    platform.minimum_version = "0.0.1"
    (folder / "sources" / UAI / "journal.ndjson").unlink()
    write_journal(folder)
    await run_until_idle(folder)
    assert platform.web(UAI) == 1, "it had been counted meanwhile"


async def test_what_is_not_granted_is_not_counted(platform: FleetPlatform, folder: Path) -> None:
    platform.grants.clear()
    platform.serve(UAI, "people", from_day=date(2026, 11, 20))
    await run_until_idle(folder)
    families = {report.family for message in platform.messages for report in message.reports}
    assert families == {"diagnostics"}, "nobody was there on the 20th"


async def test_new_grants_and_establishments_are_taken_up_while_running(platform: FleetPlatform, folder: Path) -> None:
    write_journal(folder, seen(who="u2"), uai=OTHER)
    (folder / "agent.toml").write_text(
        (folder / "agent.toml").read_text()
        + f'[[establishment]]\nuai = "{OTHER}"\nzone = "Europe/Paris"\ntype = "college"\nsources = "sources/{OTHER}"\n'
    )

    def story() -> None:
        platform.wait_for(lambda: platform.web(UAI) == 1)
        assert platform.web(OTHER) == 0
        platform.serve(OTHER, *FAMILIES)
        platform.wait_for(lambda: platform.web(OTHER) == 1)

    await running(folder, story)


async def test_without_a_convention_nothing_is_read_or_published(platform: FleetPlatform, folder: Path) -> None:
    def story() -> None:
        platform.wait_for(lambda: platform.web(UAI) == 1)
        platform.collect(UAI, collected=False)
        heard = len(platform.hellos)
        platform.wait_for(lambda: len(platform.hellos) > heard + 1)
        sent = len(platform.messages)
        write_journal(folder, seen(who="u2"))
        platform.wait_for(lambda: len(platform.hellos) > heard + 4)
        assert len(platform.messages) == sent
        platform.collect(UAI, collected=True)
        platform.wait_for(lambda: platform.web(UAI) == 2)

    await running(folder, story)


async def test_away_for_long_the_agent_goes_on_with_what_it_knew(platform: FleetPlatform, folder: Path) -> None:
    def story() -> None:
        platform.wait_for(lambda: platform.web(UAI) == 1)
        platform.silent = True
        for place in range(3):
            write_journal(folder, seen(who=f"v{place}"))
        platform.silent = False
        platform.wait_for(lambda: platform.web(UAI) == 4)

    await running(folder, story)
    platform.silent = True
    write_journal(folder, seen(who="w"))
    async with agent_in(folder) as agent:
        task = asyncio.create_task(agent.run())
        while agent._store.waiting() == 0:
            await asyncio.sleep(0.01)
        agent.stopping.set()
        await task
    assert _knowledge(folder).failure.startswith(platform.url)


async def test_a_state_that_knows_nothing_waits_for_the_platform(
    platform: FleetPlatform, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.collector.agent.PATIENCE_UNTIL_IDLE", 0.0)
    (folder / "agent.sqlite").unlink()
    platform.silent = True
    with pytest.raises(NotDeliveredError):
        await run_until_idle(folder)
    assert platform.messages == []


async def test_resend_is_obeyed_once(platform: FleetPlatform, folder: Path) -> None:
    await run_until_idle(folder)
    sent = len(platform.messages)
    platform.resend = Resend(7, date(2026, 11, 19))
    await run_until_idle(folder)
    assert len(platform.messages) == sent + 1
    assert {report.grain for report in platform.messages[-1].reports} == {"hour", "day", "month", "school_year"}
    await run_until_idle(folder)
    assert len(platform.messages) == sent + 1
    platform.resend = Resend(8, date(2026, 11, 21))
    await run_until_idle(folder)
    assert {report.grain for report in platform.messages[-1].reports} == {"month", "school_year"}
    assert _knowledge(folder).resent == 8


async def test_two_states_of_one_agent_are_told(platform: FleetPlatform, folder: Path) -> None:
    await run_until_idle(folder)
    (folder / "agent.sqlite").rename(folder / "lost")
    await run_until_idle(folder)
    assert len({hello.state for hello in platform.hellos}) == 2
    assert _knowledge(folder).answer.copies  # type: ignore[union-attr]


def test_a_state_that_is_copied_or_moved_takes_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines made of one image hold the same state: only the place tells them apart."""

    def name(path: Path) -> str:
        with open_state(path, NOW) as store, store.transaction():
            return store.memory.name(path)

    monkeypatch.setattr("uuid.getnode", lambda: 0x0242AC110002)
    first = name(tmp_path / "agent.sqlite")
    assert name(tmp_path / "agent.sqlite") == first
    shutil.copy(tmp_path / "agent.sqlite", tmp_path / "copy.sqlite")
    assert name(tmp_path / "copy.sqlite") != first
    monkeypatch.setattr("uuid.getnode", lambda: 0x0242AC110003)
    assert name(tmp_path / "agent.sqlite") != first
    monkeypatch.setattr("uuid.getnode", lambda: 1 << 40)
    assert name(tmp_path / "copy.sqlite") == name(tmp_path / "copy.sqlite"), "a machine that does not say who it is"


async def test_after_a_lost_state_a_restated_period_grows_again(platform: FleetPlatform, folder: Path) -> None:
    """The platform holds it at the restatement; a state that starts again below it would be ignored for as long as it lasts."""
    at = int(NOW.timestamp())
    journal = write_journal(folder, seen("2026-11-20", "u2"))
    await run_until_idle(folder)
    platform.standing = [FamilyStanding(UAI, family, at) for family in ("web", "people")]
    (folder / "agent.sqlite").unlink()
    for name in ("agent.sqlite-wal", "agent.sqlite-shm"):
        (folder / name).unlink(missing_ok=True)
    write_journal(folder, seen("2026-11-20", "u3"))
    await run_until_idle(folder)
    reports = {(r.family, r.grain, r.start): r.restatement for m in platform.messages for r in m.reports}
    assert reports["web", "day", "2026-11-20"] == at
    assert reports["people", "school_year", "2026-09-01"] == at
    assert reports["web", "day", "2026-11-19"] == 0, "over by then: what the platform holds is at least as good"
    assert journal.exists()


@pytest.mark.parametrize("shared", [True, False])
async def test_an_agent_replaced_in_mid_month_counts_its_own_days(tmp_path: Path, shared: bool) -> None:
    """Two agents, one after the other, on the same journal or each on what it found: counters added over both are those of one."""
    days = [f"2026-11-{day:02}" for day in (3, 9, 14, 15, 18)]
    spans: dict[str, tuple[list[str], dict[str, Any]]] = {
        "agent-1": (days, {"to_day": date(2026, 11, 14)}),
        "agent-2": (days[3:], {"from_day": date(2026, 11, 15)}),
    }
    counted: dict[str, int] = {}
    for agent, (left, bounds) in spans.items():
        with FleetPlatform(agent=agent) as platform:
            platform.serve(UAI, *FAMILIES, **bounds)
            write_journal(tmp_path / agent, *(seen(day, f"u-{day}") for day in (days if shared else left)))
            await enrolled(platform, tmp_path / agent)
            await run_until_idle(tmp_path / agent)
            for (_, day), cells in platform.states("web", "day").items():
                counted[day] = counted.get(day, 0) + sum(cells.values())
    assert counted == dict.fromkeys(days, 1)


async def test_away_for_long_the_state_takes_no_more_room(platform: FleetPlatform, folder: Path) -> None:
    """What waits is where periods stand, not what happened: a thousand visits more of the same people change no row's number."""
    await run_until_idle(folder)
    platform.silent = True

    async def pages(visits: int) -> int:
        write_journal(folder, *(seen(who=f"u{n % 5}") for n in range(visits)))
        async with agent_in(folder) as agent:
            service = agent._service(agent._orders.establishments[0])
            while service.turn(NOW, budget=2**30, to_the_end=True):
                pass
            return int(agent._store._connection.execute("PRAGMA page_count").fetchone()[0])

    first = await pages(100)
    assert await pages(2000) == first
    platform.silent = False
    await run_until_idle(folder)
    assert platform.web(UAI) == 2101


async def test_a_key_is_replaced_with_an_overlap(platform: FleetPlatform, folder: Path) -> None:
    keys = KeyRing(folder / "agent.key")
    old = keys.public
    keys.prepare_next()
    await run_until_idle(folder)
    fresh = KeyRing(folder / "agent.key").public
    assert fresh != old
    assert platform.keys[old] is not None, "the old one ends"
    assert platform.keys[fresh] is None
    assert platform.web(UAI) == 1
    platform.keys.pop(old)
    write_journal(folder, seen(who="u2"))
    await run_until_idle(folder)
    assert platform.web(UAI) == 2


async def test_a_replacement_whose_answer_was_lost_ends_well_even_after_the_overlap(
    platform: FleetPlatform, folder: Path
) -> None:
    keys = KeyRing(folder / "agent.key")
    old = keys.public
    keys.prepare_next()
    platform.lose_answers = 1
    await run_until_idle(folder)
    platform.keys.pop(old)
    await run_until_idle(folder)
    assert KeyRing(folder / "agent.key").public != old
    assert not keys.next_path.exists()


async def test_a_key_that_may_not_be_replaced_yet_goes_on(platform: FleetPlatform, folder: Path) -> None:
    keys = KeyRing(folder / "agent.key")
    keys.prepare_next()
    platform.most_keys = 0
    await run_until_idle(folder)
    assert platform.web(UAI) == 1
    assert KeyRing(folder / "agent.key").public == keys.public
    assert keys.has_next, "it is announced again"


async def test_a_key_is_replaced_by_its_age(platform: FleetPlatform, folder: Path) -> None:
    settings = (folder / "agent.toml").read_text()
    (folder / "agent.toml").write_text(settings.replace("# rotate_key_days = 365", "rotate_key_days = 365"))
    old = KeyRing(folder / "agent.key").public
    await run_until_idle(folder)
    assert KeyRing(folder / "agent.key").public == old
    long_ago = (datetime.now(UTC) - timedelta(days=366)).timestamp()
    os.utime(folder / "agent.key", (long_ago, long_ago))
    await run_until_idle(folder)
    assert KeyRing(folder / "agent.key").public != old


async def test_a_clock_that_is_off_is_corrected(platform: FleetPlatform, tmp_path: Path, monkeypatch) -> None:
    """Three days behind, every line would be `future`; a business date held still is left alone."""
    monkeypatch.delenv("TERRITORIALE_NOW")
    platform.ahead = timedelta(days=3)
    there = (datetime.now(UTC) + timedelta(days=2, hours=1)).isoformat(timespec="seconds")
    write_journal(tmp_path, seen().replace("2026-11-19T08:00:00+01:00", there))
    await enrolled(platform, tmp_path)
    await run_until_idle(tmp_path)
    assert platform.web(UAI) == 1
    assert _knowledge(tmp_path).ahead == pytest.approx(-3 * 86_400, abs=2)


def test_a_clock_held_still_is_not_corrected() -> None:
    clock = AgentClock(NOW).corrected(timedelta(days=3))
    assert clock.now() == NOW
    assert clock.platform_now() < clock.real_now()
    assert clock.business(NOW - timedelta(days=1)) == NOW


def test_skew_is_what_the_journey_does_not_explain() -> None:
    at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert skew(at, at + timedelta(seconds=8), at + timedelta(seconds=8)) == timedelta(0)
    assert skew(at, at + timedelta(seconds=2), at - timedelta(minutes=10)) == timedelta(seconds=601)
    assert skew(at, at, at + timedelta(hours=1)) == timedelta(hours=-1)


def test_versions_are_compared_by_their_numbers() -> None:
    assert is_older("0.9", "0.10")
    assert is_older("1.0.0rc1", "1.0.1")
    assert not is_older("1.0", "1.0.0")
    assert not is_older("2", "1.99.99")
