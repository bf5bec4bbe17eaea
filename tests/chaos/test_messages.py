"""What stands on the topic: doubled, shuffled, forged, garbled, of tomorrow, of others. Every number stays the one that the sources say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.clock import Clock
from contracts.catalogue import CATALOGUE
from contracts.signing import AGENT_HEADER, SIGNATURE_HEADER, public_to_text
from contracts.usage_reported import TOPIC
from tests.chaos.scene import PATIENCE_S, Scene
from tests.support.territories import uai as uai_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.wire import Message

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("chaos")]

CODE = CATALOGUE.code("web", "connections", "eleve", "web", "direct")
OTHER_CODE = CATALOGUE.code("web", "connections", "eleve", "web", "ent")
HUGE = 10**9
"""Would be seen in every table."""


@pytest.mark.fault(row=9)
async def test_everything_on_the_topic_twice_and_in_disorder(faults):
    """A maximum is idempotent and commutative, so a replay from the start, doubled and shuffled, changes nothing."""
    messages = await faults.messages()
    again = [*messages, *messages]
    faults.draw.shuffle(again)
    await faults.send(*again)
    faults.grow()
    faults.agent.run()
    await faults.expect_truth("a replay, doubled and shuffled")


def poison(faults: Scene, uai: str, good: Message) -> dict[str, Message]:
    """Message by the cause under which it must be set aside."""
    sign, usage = faults.signed, faults.usage
    return {
        "malformed": sign(b"\x00\xff not JSON", key=uai.encode()),
        "bad_signature": replace(good, value=good.value + b" "),
        "no_signature": replace(good, headers=[each for each in good.headers if each[0] != SIGNATURE_HEADER]),
        "unknown_agent": replace(
            good, headers=[(AGENT_HEADER, b"nobody"), *[each for each in good.headers if each[0] != AGENT_HEADER]]
        ),
        "key_mismatch": replace(sign(usage(uai)), key=b"0750001U" if uai != "0750001U" else b"0750002V"),
        "cells_not_ascending": sign(
            usage(uai, cells=[max(CODE, OTHER_CODE), min(CODE, OTHER_CODE)], counts=[HUGE, HUGE])
        ),
        "lengths_differ": sign(usage(uai, cells=[CODE], counts=[HUGE, HUGE])),
        "cell_not_in_family": sign(usage(uai, family="software", cells=[CODE], counts=[HUGE])),
        "bad_count": sign(usage(uai, cells=[CODE], counts=[-1])),
        "bad_start": sign(usage(uai, grain="month", start="2026-10-02", cells=[CODE], counts=[HUGE])),
        "grain_not_in_family": sign(usage(uai, family="census.comptes", grain="month", start="2026-09-01")),
        "oversize": sign(usage(uai, start="x" * 600_000)),
    }


@pytest.mark.fault(row=10)
@pytest.mark.fault(row=17)
async def test_poison_is_set_aside_with_its_cause_and_its_partition_goes_on(faults):
    """Forged, garbled and misshapen messages are dead letters, each for its reason."""
    good = next(each for each in await faults.messages() if len(each.value) > 100)
    assert good.key
    uai = good.key.decode()
    bad = poison(faults, uai, good)
    with pytest.raises(MessageSizeTooLargeError):
        await faults.send(faults.signed(faults.usage(uai, start="x" * 10_000_000)))
    await faults.send(*(replace(each, partition=good.partition) for each in bad.values()), good)
    faults.grow()
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


@pytest.mark.fault(row=11)
@pytest.mark.fault(row=35)
async def test_messages_of_tomorrow_and_of_others(faults):
    """A new field is nothing to worry about; a newer catalogue, a family or a school that is not granted wait apart."""
    uai = next(each.key for each in await faults.messages() if each.key).decode()
    usage = faults.usage
    huge: dict[str, Any] = {"cells": [CODE], "counts": [HUGE]}
    newer = {**usage(uai, **huge), "catalogue": CATALOGUE.version + 1}
    unheard = usage(uai_of(750014), **huge)
    ungranted = usage(uai, family="observed.access-log", cells=[], counts=[])
    future = usage(uai, start="2026-10-29", **huge)
    ancient = usage(uai, start="2024-10-20", **huge)
    harmless = {**usage(uai), "mood": "fine"}
    harmless["reports"][0]["weather"] = "rain"
    await faults.send(*map(faults.signed, (newer, unheard, ungranted, future, ancient, harmless)))
    faults.grow()
    faults.agent.run()
    await faults.expect_truth("messages of tomorrow and of others")


def public(private: Ed25519PrivateKey) -> str:
    return public_to_text(private.public_key())


@pytest.mark.fault(row=35)
async def test_a_key_is_changed_with_an_overlap_and_a_stolen_one_is_ended(faults: Scene, tmp_path: Path):
    """While both keys are in force both are believed; what is signed with an ended one waits among the dead letters."""
    agent, now = faults.settings["agent"], Clock().real_now()
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    for name, private, dates in (("old", old, ["--to", (now + timedelta(hours=1)).isoformat()]), ("new", new, [])):
        (tmp_path / name).write_text(public(private))
        faults.operator("admin", "agent", "key", agent, str(tmp_path / name), *dates)
    good = next(each for each in await faults.messages() if each.key and AGENT_HEADER in dict(each.headers))
    both = [faults.signed(good.value, key=good.key, by=private) for private in (old, new)]
    await faults.send(*both)
    faults.operator("admin", "agent", "key", agent, str(tmp_path / "old"), "--end")
    uai = (good.key or b"").decode()
    harmless = faults.signed({**faults.usage(uai), "reports": []}, by=old)
    async with asyncio.timeout(
        PATIENCE_S
    ):  # the registry's news take a moment; until then the key is believed, as it was
        while harmless.value not in await values_set_aside(faults, "bad_signature"):
            await faults.send(harmless)
    await faults.send(faults.signed(faults.usage(uai, cells=[CODE], counts=[HUGE]), by=old))
    faults.grow()
    faults.agent.run()
    await faults.expect_truth("a key changed, and one stolen")


async def values_set_aside(faults: Scene, cause: str) -> set[bytes]:
    letters = await faults.messages(f"{TOPIC}.dlq")
    return {each.value for each in letters if dict(each.headers)["dlq-cause"].decode() == cause}
