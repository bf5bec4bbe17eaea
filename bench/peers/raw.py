"""The floor: messages consumed and decoded by the aggregator's decoder, and forgotten. `BOOTSTRAP TOPIC MESSAGES`."""

from __future__ import annotations

import asyncio
import sys
import time

from bench.peers.consuming import batches
from bench.peers.told import tell
from contracts.usage_reported import decode


async def main(bootstrap: str, topic: str, messages: int) -> None:
    reports = facts = 0
    started: float | None = None
    async for values in batches(bootstrap, topic, messages):
        started = started or time.perf_counter()
        for value in values:
            message = decode(value)
            reports += len(message.reports)
            for report in message.reports:
                facts += len(report.cells)
    tell(seconds=time.perf_counter() - (started or 0), reports=reports, facts=facts)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
