"""One stack whose sources grow, whose agent is in the test's hands, and the truth to compare with after each fault."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import shutil
import signal
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.signing import AGENT_HEADER, SIGNATURE_HEADER, sign
from contracts.usage_reported import TOPIC
from tests.support.agents import Agent
from tests.support.feed import Feed
from tests.support.oracle import Oracle
from tests.support.oracle.compare import daily_differences, table_differences
from tests.support.oracle.count import TABLES
from tests.support.stacks import Stack, stack_of
from tests.support.territories import BEATING, DISORDERLY, write_nasty
from tests.support.wire import Message, read_topic, write_topic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 10, 26, 22, 30, tzinfo=ZoneInfo("Europe/Paris"))
SEED = int(os.environ.get("TERRITORIALE_TEST_SEED") or random.SystemRandom().randrange(10**6))
"""Printed with every failure; set TERRITORIALE_TEST_SEED to replay it."""
WINDOWS = ("last-day", "current-month", "last-year", "current-year")
PATIENCE_S = 45.0


@dataclass
class Scene:
    stack: Stack
    feed: Feed
    draw: random.Random

    @cached_property
    def settings(self) -> dict[str, Any]:
        return tomllib.loads((self.stack.state / "agent" / "agent.toml").read_text("utf-8"))

    @property
    def kafka(self) -> str:
        bootstrap: str = self.settings["kafka"]["bootstrap"]
        return bootstrap

    @property
    def agent(self) -> Agent:
        return Agent(self.settings["agent"], self.stack.state / "agent" / "agent.toml", self.kafka, NOW)

    @property
    def memory(self) -> Path:
        """The agent's state file."""
        return self.stack.state / "agent" / str(self.settings["state"])

    # --- the truth

    def differences(self) -> list[str]:
        oracle = Oracle(self.feed.folder, NOW)
        found = []
        for table, window in itertools.product(TABLES, WINDOWS):
            answer = self.stack.json(f"/tables/{table}", window=window)
            found += table_differences(answer, oracle.table(table, window=window))
        return found + daily_differences(self.stack.json("/series/daily"), oracle.daily())

    async def expect_truth(self, after: str) -> None:
        """Every number is right within the patience; what is still wrong then is the failure. Nobody announces a commit."""
        found = self.differences()
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while found and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.25)
            found = self.differences()
        assert not found, f"seed {SEED}, after {after}: {len(found)} differences\n" + "\n".join(found[:30])

    # --- the faults

    def node(self, name: str) -> dict[str, Any]:
        node: dict[str, Any] = json.loads((self.stack.state / "status.json").read_text())["nodes"][name]
        return node

    def kill(self, name: str) -> None:
        os.kill(self.node(name)["pid"], signal.SIGKILL)

    async def until_ready(self, name: str, restarts: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while (node := self.node(name))["state"] != "ready" or node["restarts"] < restarts:
                await asyncio.sleep(0.1)

    def remember(self, folder: Path) -> None:
        """A copy of the agent's state as an old disk would hold it."""
        folder.mkdir()
        for path in self.memory.parent.glob(f"{self.memory.name}*"):
            shutil.copy2(path, folder / path.name)

    def restore(self, folder: Path) -> None:
        for path in self.memory.parent.glob(f"{self.memory.name}*"):
            path.unlink()
        for path in folder.iterdir():
            shutil.copy2(path, self.memory.parent / path.name)

    # --- the topic

    async def messages(self, topic: str = TOPIC) -> list[Message]:
        return await read_topic(self.kafka, topic)

    async def send(self, *messages: Message) -> None:
        await write_topic(self.kafka, TOPIC, messages)

    def signed(self, body: dict[str, Any] | bytes, *, key: bytes | None = None, agent: str | None = None) -> Message:
        """A message as this stack's agent would sign it, whatever it says."""
        value = body if isinstance(body, bytes) else json.dumps(body).encode()
        private = serialization.load_pem_private_key(self.memory.with_name(self.settings["key"]).read_bytes(), None)
        assert isinstance(private, Ed25519PrivateKey)
        headers = ((AGENT_HEADER, (agent or self.settings["agent"]).encode()), (SIGNATURE_HEADER, sign(private, value)))
        uai = body["uai"].encode() if isinstance(body, dict) else b""
        return Message(key if key is not None else uai, value, headers)


@contextmanager
def scene(folder: Path, *, pieces: int) -> Iterator[Scene]:
    draw = random.Random(SEED)
    write_nasty(folder / "whole", SEED, NOW)
    feed = Feed(folder / "whole", folder / "territory", pieces, draw, frozenset({DISORDERLY, *BEATING, "cite"}))
    with stack_of(folder / "territory", folder / "local", NOW) as stack:
        yield Scene(stack, feed, draw)
