"""Readers who go on asking while something is being broken, and what they were answered."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.chaos.scene import Scene

QUESTIONS = (
    "/tables/connexions.authentifiees?window=current-year",
    "/tables/connexions.individus?window=last-month&display=rates",
    "/series/daily",
    "/series/hourly",
    "/freshness",
)
ANSWER_WITHIN_S = 60.0
GONE = "no gateway"
"""Counted where the gateway itself could not be reached."""


@dataclass
class Answers:
    """How many of each status; `since` the last fault."""

    statuses: Counter[int | str] = field(default_factory=Counter)
    fresh: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, status: int | str) -> None:
        self.statuses[status] += 1
        if status == httpx.codes.OK:
            self.fresh.set()

    async def one_more(self) -> None:
        """Wait for the next figures."""
        self.fresh.clear()
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await self.fresh.wait()


@asynccontextmanager
async def readers(faults: Scene, number: int = 3) -> AsyncIterator[Answers]:
    """`number` readers ask one question after the other; leave when all is well again."""
    answers, over = Answers(), asyncio.Event()
    headers = {"Authorization": f"Bearer {faults.stack.token}"}
    base = f"{faults.stack.url}/api/v1"
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=ANSWER_WITHIN_S, trust_env=False) as client:
        asking = [asyncio.create_task(_ask(client, answers, over, offset)) for offset in range(number)]
        try:
            await answers.one_more()
            yield answers
            await answers.one_more()
        finally:
            over.set()
            await asyncio.gather(*asking)


async def _ask(client: httpx.AsyncClient, answers: Answers, over: asyncio.Event, offset: int) -> None:
    for question in itertools.islice(itertools.cycle(QUESTIONS), offset, None):
        if over.is_set():
            return
        try:
            answers.note((await client.get(question)).status_code)
        except httpx.TransportError:
            answers.note(GONE)
            await asyncio.sleep(0.1)
