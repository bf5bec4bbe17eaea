"""How batches are cut, written one after the other, and never passed over; the parts around are stand-ins."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import chain, pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aggregator import handlers
from services.aggregator.handlers import Handlers, portions
from services.aggregator.service import Flushed


class Sent(NamedTuple):
    """What is read of a record here."""

    offset: int
    value: bytes | None
    topic: str = "topic"
    partition: int = 0


@given(st.lists(st.integers(0, 50)), st.integers(1, 60))
def test_a_batch_is_cut_in_order_and_by_bytes(sizes: list[int], most: int):
    records = [Sent(offset, b"x" * size or None) for offset, size in enumerate(sizes)]
    parts = [list(part) for part in portions(records, most)]  # type: ignore[arg-type]
    assert [one.offset for one in chain.from_iterable(parts)] == list(range(len(sizes)))
    for part, following in pairwise(parts):
        assert part
        assert len(part) == 1 or sum(len(one.value or b"") for one in part) <= most
        assert sum(len(one.value or b"") for one in (*part, following[0])) > most


class Stood:
    """Reports, Kafka out and Kafka in at once; `steps` is what happened, in order."""

    def __init__(self, *, fails: str = "") -> None:
        self.steps: list[str] = []
        self.stopped = asyncio.Event()
        self._fails = fails
        self.handlers = Handlers(self, self, self._stop)  # type: ignore[arg-type]

    async def take(self, *records: Sent) -> None:
        await self.handlers.on_usage_reported(SimpleNamespace(raw_message=records, consumer=self))  # type: ignore[arg-type]

    async def judge(self, records: Sequence[Sent]) -> Sequence[Sent]:
        return records

    async def write(self, judged: Sequence[Sent]) -> Flushed:
        await self._step("written", judged[-1].offset)
        return Flushed()

    async def bury(self, _: object) -> None:
        await self._step("buried")

    async def commit(self, offsets: dict[Any, int]) -> None:
        await self._step("acknowledged", *offsets.values())

    async def announce(self, _: object) -> None:
        await self._step("announced")

    async def _step(self, name: str, *what: int) -> None:
        await asyncio.sleep(0)
        if name == self._fails:
            raise RuntimeError(name)
        self.steps.append(" ".join([name, *map(str, what)]))

    def _stop(self, _: Exception) -> None:
        self.stopped.set()


async def test_a_great_batch_is_written_and_acknowledged_part_by_part(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(handlers, "FLUSH_BYTES", 10)
    stood = Stood()
    await stood.take(*(Sent(offset, b"x" * 4) for offset in range(5)))
    await stood.handlers.settle()
    assert [step for step in stood.steps if step.startswith(("written", "ack"))] == [
        "written 1", "acknowledged 2", "written 3", "acknowledged 4", "written 4", "acknowledged 5",
    ]  # fmt: skip


@pytest.mark.parametrize("step", ["written", "buried", "acknowledged", "announced"])
async def test_a_batch_that_fails_anywhere_holds_the_next_one(step: str):
    """One that failed after its commit once let the next be dropped: neither written nor read again."""
    stood = Stood(fails=step)
    await stood.take(Sent(0, b"x"))
    following = asyncio.create_task(stood.take(Sent(1, b"x")))
    await stood.stopped.wait()
    await stood.handlers.finish()
    assert not following.done()
    assert Counter(step.split()[-1] for step in stood.steps)["2"] == 0
    following.cancel()
