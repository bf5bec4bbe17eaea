"""Faults of the machine that several servers meet, recognised in their last words or before they start."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from deploy.local.errors import DiskFullError

LEAST_FREE = 300_000_000
"""Bytes free below which a stack is not started: an empty Kafka and PostgreSQL take 150 MB, and both fail badly on a full disk."""


def disk_full(words: Sequence[str], who: str) -> DiskFullError | None:
    """Every server here is told by the same operating system."""
    if any("No space left on device" in line or "Disk quota exceeded" in line for line in words):
        return DiskFullError(f"{who} cannot write: the disk is full; free some space, then run the command again.")
    return None


def refuse_full_disk(folder: Path) -> None:
    """Before anything is written."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE:
        raise DiskFullError(
            f"The disk of {there} has {free // 1_000_000} MB left and a stack needs {LEAST_FREE // 1_000_000}; "
            "free some space, or name another folder with --state."
        )


def first_matching(words: Sequence[str], *signs: str) -> str:
    """The first line that holds one of the signs, shortened; empty where none does."""
    for line in words:
        if any(sign in line for sign in signs):
            return line.strip()[:300]
    return ""
