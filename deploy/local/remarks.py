"""What an operator should look at once a territory's sources were read: what could not be, and lines set aside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def remarks_on_sources(state: Path) -> Iterator[str]:
    """By establishment, as `agent status` tells it; nothing when all was read and counted."""
    from services.collector.config import read_settings
    from services.collector.status import status
    from services.collector.told import problems

    path = state / "agent" / "agent.toml"
    if not path.exists():
        return
    told = {each["uai"]: list(problems(each)) for each in status(read_settings(path))["establishments"]}
    for uai, lines in told.items():
        if lines:
            yield uai
            yield from lines
    if any(told.values()):
        yield f"More with: territoriale agent check --settings '{path}'"
