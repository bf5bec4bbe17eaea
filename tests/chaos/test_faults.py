"""One stack, many faults: after each of them every number is still the one that a plain count of the sources finds.

The agent is killed, restored from an old disk, copied and robbed of its state; the aggregator is killed; messages are doubled,
shuffled, forged, garbled and sent from the future. Runs print their seed: TERRITORIALE_TEST_SEED replays one.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from contracts.catalogue import CATALOGUE
from contracts.signing import AGENT_HEADER, SIGNATURE_HEADER
from contracts.usage_reported import TOPIC
from tests.chaos.scene import PATIENCE_S, Scene, scene
from tests.support.territories import uai as uai_of
from tests.support.wire import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stacks")]

PIECES = 12
"""Each test that reads new lines uses up one or several."""


@pytest.fixture(scope="module")
def faults(tmp_path_factory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("faults"), pieces=PIECES) as built:
        yield built


async def killed_while_reading(faults: Scene) -> bool:
    """Start the agent and kill it somewhere between its first breath and its last; whether it was still at work."""
    process = faults.agent.start()
    try:
        await asyncio.to_thread(process.wait, faults.draw.uniform(0.2, 2.5))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    finally:
        assert process.stdout
        process.stdout.close()
    return False


async def test_kill_9_of_agent_and_aggregator_in_mid_flight(faults):
    """Rows 1 and 15: nothing lost, nothing twice, whatever they were doing."""
    await faults.expect_truth("the first reading")
    restarts = faults.node("aggregator")["restarts"]
    kills = 0
    for round_ in range(3):
        faults.feed.grow()
        kills += await killed_while_reading(faults)
        faults.kill("aggregator")
        await faults.until_ready("aggregator", restarts + round_ + 1)
    assert kills, "the agent was killed at work at least once"
    faults.agent.run()
    await faults.expect_truth("kill -9 of agent and aggregator")


async def test_everything_on_the_topic_twice_and_in_disorder(faults):
    """Row 9: a maximum is idempotent and commutative, so a replay from the start, doubled and shuffled, changes nothing."""
    messages = await faults.messages()
    again = [*messages, *messages]
    faults.draw.shuffle(again)
    await faults.send(*again)
    faults.feed.grow()
    faults.agent.run()
    await faults.expect_truth("a replay, doubled and shuffled")


async def test_an_agent_restored_from_an_old_disk(faults, tmp_path):
    """Row 7: it reads again what it had forgotten, and says the same states."""
    faults.remember(tmp_path / "disk")
    faults.feed.grow()
    faults.agent.run()
    faults.restore(tmp_path / "disk")
    faults.feed.grow()
    faults.agent.run()
    await faults.expect_truth("a restored agent")


async def test_two_copies_of_one_agent(faults, tmp_path):
    """Row 7: a cloned machine; both say what is true, so the greater of both is, too."""
    shutil.copytree(faults.memory.parent, tmp_path / "clone")
    clone = replace(faults.agent, settings=tmp_path / "clone" / faults.agent.settings.name)
    faults.feed.grow()
    await asyncio.gather(asyncio.to_thread(faults.agent.run), asyncio.to_thread(clone.run))
    faults.feed.grow()
    clone.run()
    faults.agent.run()
    await faults.expect_truth("two copies of one agent")


async def test_an_agent_that_lost_its_state(faults):
    """Row 6: a state file that is no database is set aside, and all is counted again from the sources."""
    faults.memory.write_bytes(b"not a database" * 1000)
    faults.feed.grow()
    faults.agent.run()
    await faults.expect_truth("a lost state")


def usage(uai: str, **report: Any) -> dict[str, Any]:
    """A well-formed message of one report, but for what is said of it."""
    whole = {"family": "web", "grain": "day", "start": "2026-10-20", "cells": [], "counts": [], **report}
    return {"agent": "local", "uai": uai, "catalogue": CATALOGUE.version, "reports": [whole]}


def poison(faults: Scene, uai: str, good: Message) -> dict[str, Message]:
    """Message by the cause under which it must be set aside."""
    code = CATALOGUE.code("web", "connections", "eleve", "web", "direct")
    other = CATALOGUE.code("web", "connections", "eleve", "web", "ent")
    huge = 10**9
    sign = faults.signed
    return {
        "malformed": sign(b"\x00\xff not JSON", key=uai.encode()),
        "bad_signature": replace(good, value=good.value + b" "),
        "no_signature": replace(good, headers=[each for each in good.headers if each[0] != SIGNATURE_HEADER]),
        "unknown_agent": replace(
            good, headers=[(AGENT_HEADER, b"nobody"), *[each for each in good.headers if each[0] != AGENT_HEADER]]
        ),
        "key_mismatch": replace(sign(usage(uai)), key=b"0750001U" if uai != "0750001U" else b"0750002V"),
        "cells_not_ascending": sign(usage(uai, cells=[max(code, other), min(code, other)], counts=[huge, huge])),
        "lengths_differ": sign(usage(uai, cells=[code], counts=[huge, huge])),
        "cell_not_in_family": sign(usage(uai, family="software", cells=[code], counts=[huge])),
        "bad_count": sign(usage(uai, cells=[code], counts=[-1])),
        "bad_start": sign(usage(uai, grain="month", start="2026-10-02", cells=[code], counts=[huge])),
        "grain_not_in_family": sign(usage(uai, grain="school_year", start="2026-09-01", cells=[code], counts=[huge])),
        "oversize": sign(usage(uai, start="x" * 600_000)),
    }


async def test_poison_is_set_aside_with_its_cause_and_its_partition_goes_on(faults):
    """Rows 10, 17 and 35: forged, garbled and misshapen messages are dead letters, each for its reason."""
    good = next(each for each in await faults.messages() if len(each.value) > 100)
    assert good.key
    uai = good.key.decode()
    bad = poison(faults, uai, good)
    with pytest.raises(MessageSizeTooLargeError):
        await faults.send(faults.signed(usage(uai, start="x" * 10_000_000)))
    await faults.send(*(replace(each, partition=good.partition) for each in bad.values()), good)
    faults.feed.grow()
    faults.agent.run()
    await faults.expect_truth("poison")
    assert await causes(faults, set(bad)) >= set(bad)


async def causes(faults: Scene, expected: set[str]) -> set[str]:
    """Causes on the dead letter topic, once the expected ones are there or patience is over."""
    found: set[str] = set()
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not expected <= found and asyncio.get_running_loop().time() < deadline:
        letters = await faults.messages(f"{TOPIC}.dlq")
        found = {dict(each.headers)["dlq-cause"].decode() for each in letters}
        if not expected <= found:
            await asyncio.sleep(0.25)
    return found


async def test_messages_of_tomorrow_and_of_others(faults):
    """Row 11 and 35: a new field is nothing to worry about; a newer catalogue, a family or a school that is not granted wait apart."""
    uai = next(each.key for each in await faults.messages() if each.key).decode()
    code = CATALOGUE.code("web", "connections", "eleve", "web", "direct")
    huge: dict[str, Any] = {"cells": [code], "counts": [10**9]}
    newer = {**usage(uai, **huge), "catalogue": CATALOGUE.version + 1}
    unheard = usage(uai_of(750014), **huge)
    ungranted = usage(uai, family="observed.access-log", cells=[], counts=[])
    future = usage(uai, start="2026-10-29", **huge)
    ancient = usage(uai, start="2024-10-20", **huge)
    harmless = {**usage(uai), "mood": "fine"}
    harmless["reports"][0]["weather"] = "rain"
    await faults.send(*map(faults.signed, (newer, unheard, ungranted, future, ancient, harmless)))
    faults.feed.grow()
    faults.agent.run()
    await faults.expect_truth("messages of tomorrow and of others")
