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
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import asyncpg
import psutil
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.catalogue import CATALOGUE
from contracts.signing import AGENT_HEADER, SIGNATURE_HEADER, sign
from contracts.usage_reported import TOPIC
from deploy.local.postgres import DATABASE
from deploy.local.site_file import read_site
from deploy.local.stack import service_environment
from tests.support.agents import Agent
from tests.support.feed import Feed
from tests.support.oracle import Oracle
from tests.support.oracle.compare import daily_differences, table_differences
from tests.support.oracle.count import TABLES
from tests.support.stacks import Stack, run, stack_of
from tests.support.territories import BEATING, DISORDERLY, write_nasty
from tests.support.wire import Message, read_topic, write_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from deploy.local.stack import Site

NOW = datetime(2026, 10, 26, 22, 30, tzinfo=ZoneInfo("Europe/Paris"))
"""The day after the long night of October."""
SEED = int(os.environ.get("TERRITORIALE_TEST_SEED") or random.SystemRandom().randrange(10**6))
"""Printed with every failure; set TERRITORIALE_TEST_SEED to replay it."""
WINDOWS = ("last-day", "current-month", "last-year", "current-year")
PATIENCE_S = 60.0


@dataclass
class Scene:
    stack: Stack
    feed: Feed
    draw: random.Random
    now: datetime

    @cached_property
    def settings(self) -> dict[str, Any]:
        return tomllib.loads((self.stack.state / "agent" / "agent.toml").read_text("utf-8"))

    @cached_property
    def site(self) -> Site:
        """Ports and secrets of the stack."""
        return read_site(self.stack.state)

    @property
    def kafka(self) -> str:
        bootstrap: str = self.settings["kafka"]["bootstrap"]
        return bootstrap

    @property
    def agent(self) -> Agent:
        return Agent(self.settings["agent"], self.stack.state / "agent" / "agent.toml", self.kafka, self.now)

    @property
    def memory(self) -> Path:
        """The agent's state file."""
        return self.stack.state / "agent" / str(self.settings["state"])

    # --- the truth

    def grow(self) -> None:
        """New lines in the sources; a fault that meets nothing new would prove nothing."""
        assert self.feed.grow(), "the sources have no more to say: give the scene more pieces"

    def oracle(self) -> Oracle:
        """What the sources say now, counted anew."""
        return Oracle(self.feed.folder, self.now)

    def differences(self, oracle: Oracle) -> list[str]:
        found = []
        for table, window in itertools.product(TABLES, WINDOWS):
            answer = self.stack.json(f"/tables/{table}", window=window)
            found += table_differences(answer, oracle.table(table, window=window))
        return found + daily_differences(self.stack.json("/series/daily"), oracle.daily())

    async def expect_truth(self, after: str) -> None:
        """Every number is right within the patience; what is still wrong then is the failure. Nobody announces a commit."""
        oracle = self.oracle()
        found = self.differences(oracle)
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while found and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.25)
            found = self.differences(oracle)
        assert not found, f"seed {SEED}, after {after}: {len(found)} differences\n" + "\n".join(found[:30])

    # --- the faults

    def node(self, name: str) -> dict[str, Any]:
        node: dict[str, Any] = json.loads((self.stack.state / "status.json").read_text())["nodes"][name]
        return node

    def signal(self, name: str, number: signal.Signals) -> None:
        os.kill(self.node(name)["pid"], number)

    def kill(self, name: str) -> int:
        """Kill -9; how often it will have been started again once it is back."""
        restarts: int = self.node(name)["restarts"]
        self.signal(name, signal.SIGKILL)
        return restarts + 1

    async def until_ready(self, name: str, restarts: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while (node := self.node(name))["state"] != "ready" or node["restarts"] < restarts:
                await asyncio.sleep(0.1)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """A server that is there, with all its processes, and does not answer."""
        root = psutil.Process(self.node(name)["pid"])
        processes = [root, *root.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

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

    # --- the database, as its superuser

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=self.site.ports["postgres"], user="postgres", password=self.site.credentials.postgres,
            database=DATABASE,
        )  # fmt: skip
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    @asynccontextmanager
    async def locked(self, *tables: str) -> AsyncIterator[asyncpg.Connection]:
        """Nobody else reads or writes these tables meanwhile; closing the connection lets them go, if the server has not died before."""
        async with self.database() as connection:
            await connection.execute(f"begin; lock table {', '.join(tables)} in access exclusive mode")
            yield connection

    async def until_waiting(self, connection: asyncpg.Connection, *applications: str) -> None:
        """Each of these has a statement that waits for a lock."""
        waiting = "select array_agg(application_name) from pg_stat_activity where wait_event_type = 'Lock'"
        async with asyncio.timeout(PATIENCE_S):
            while not set(applications) <= set(await connection.fetchval(waiting) or ()):
                await asyncio.sleep(0.05)

    def operator(self, *words: str) -> str:
        """What `territoriale …` says, with the addresses that an operator has from `local env`."""
        done = run(words, {**self.stack.environment, **service_environment(self.site)}, within_s=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # --- the topic

    async def messages(self, topic: str = TOPIC) -> list[Message]:
        return await read_topic(self.kafka, topic)

    async def send(self, *messages: Message) -> None:
        await write_topic(self.kafka, TOPIC, messages)

    def usage(self, uai: str, **report: Any) -> dict[str, Any]:
        """A well-formed message of one report, but for what is said of it."""
        whole = {"family": "web", "grain": "day", "start": "2026-10-20", "cells": [], "counts": [], **report}
        return {"agent": self.settings["agent"], "uai": uai, "catalogue": CATALOGUE.version, "reports": [whole]}

    def signed(
        self, body: dict[str, Any] | bytes, *, key: bytes | None = None, by: Ed25519PrivateKey | None = None
    ) -> Message:
        """A message as this stack's agent would sign it (or with another's key), whatever it says."""
        value = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = (
            (AGENT_HEADER, self.settings["agent"].encode()),
            (SIGNATURE_HEADER, sign(by or self._private_key(), value)),
        )
        uai = body["uai"].encode() if isinstance(body, dict) else b""
        return Message(key if key is not None else uai, value, headers)

    def _private_key(self) -> Ed25519PrivateKey:
        private = serialization.load_pem_private_key(self.memory.with_name(self.settings["key"]).read_bytes(), None)
        assert isinstance(private, Ed25519PrivateKey)
        return private


@contextmanager
def scene(
    folder: Path, *, pieces: int, now: datetime = NOW, brought: Mapping[str, str] | None = None
) -> Iterator[Scene]:
    draw = random.Random(SEED)
    write_nasty(folder / "whole", SEED, now)
    feed = Feed(folder / "whole", folder / "territory", pieces, draw, frozenset({DISORDERLY, *BEATING, "cite"}))
    with stack_of(folder / "territory", folder / "local", now, brought=brought) as stack:
        yield Scene(stack, feed, draw, now)
