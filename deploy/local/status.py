"""What a stack looks like from outside: one small file that its supervisor rewrites at each change."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import psutil

FILE = "status.json"
"""In the state folder of a stack."""

State = Literal["waiting", "preparing", "starting", "ready", "done", "restarting", "stopping", "stopped", "failed"]


@dataclass(slots=True)
class NodeStatus:
    """One program or step: where it stands, and how often it had to be started again."""

    state: State = "waiting"
    pid: int = 0
    born: float = 0.0
    restarts: int = 0


@dataclass(slots=True)
class StackStatus:
    """A whole stack; `supervisor` and `born` together name one process for ever, unlike a process id alone."""

    supervisor: int = field(default_factory=os.getpid)
    born: float = field(default_factory=lambda: birth(os.getpid()))
    nodes: dict[str, NodeStatus] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        return is_alive(self.supervisor, self.born)

    def write(self, folder: Path) -> None:
        """Atomically: a reader sees the old or the new file, never half of one."""
        fresh = folder / f"{FILE}.new"
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(folder / FILE)


def read_status(folder: Path) -> StackStatus | None:
    """The status last written in a state folder; None where no stack has run."""
    try:
        found = json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        return None
    nodes = {name: NodeStatus(**node) for name, node in found["nodes"].items()}
    return StackStatus(found["supervisor"], found["born"], nodes)


def birth(pid: int) -> float:
    """When a process began; with its number this names it for ever. 0 for one that is gone already."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def is_alive(pid: int, born: float) -> bool:
    """Whether that very process still runs."""
    try:
        process = psutil.Process(pid)
        return bool(process.create_time() == born and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
