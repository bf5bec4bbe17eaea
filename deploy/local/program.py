"""What the supervisor keeps: programs that run, and steps that are done once, in a graph of needs."""

from __future__ import annotations

import re
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.errors import LocalStackError


@dataclass(frozen=True, slots=True)
class Owner:
    """An unprivileged user that a program runs as."""

    user: int
    group: int


@dataclass(frozen=True, slots=True)
class Says:
    """Ready when a line of its output matches."""

    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Answers:
    """Ready when this URL answers 200 (or 204)."""

    url: str


@dataclass(frozen=True, slots=True)
class Ends:
    """Ready when it has ended with 0: a program that does one thing."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Ready as soon as it runs: nobody waits for it."""


Readiness = Says | Answers | Ends | Runs
Diagnosis = Callable[[Sequence[str]], LocalStackError | None]


async def nothing() -> None:
    """The preparation of programs that need none."""


def no_diagnosis(_: Sequence[str]) -> LocalStackError | None:
    """For programs whose last words are clear enough."""
    return None


@dataclass(frozen=True, kw_only=True)
class Program:
    """A process to start after others are ready, to keep running, and to stop before them.

    `prepare` runs before each start; `provision` after readiness and before others may rely on it. `diagnose` turns the last
    lines of a program that failed into a clear sentence, where it can.
    """

    name: str
    command: tuple[str, ...]
    ready: Readiness
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path("/")
    needs: tuple[str, ...] = ()
    owner: Owner | None = None
    prepare: Callable[[], Awaitable[None]] = nothing
    provision: Callable[[], Awaitable[None]] = nothing
    diagnose: Diagnosis = no_diagnosis
    stop_signal: signal.Signals = signal.SIGTERM
    behind: bool = False
    """The stack is announced without waiting for it; should it fail then, its state says so."""
    grace_s: float = 16.0
    """A little more than the 15 s in which every service has promised to end."""
    ready_within_s: float = 90.0


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to do once when its needs are ready; others may need it in turn."""

    name: str
    run: Callable[[], Awaitable[None]]
    needs: tuple[str, ...] = ()


Node = Program | Step
