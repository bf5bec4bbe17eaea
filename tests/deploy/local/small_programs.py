"""Small programs for a supervisor to look after."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from deploy.local.process import bare_environment
from deploy.local.program import Program, Says

if TYPE_CHECKING:
    from pathlib import Path

READY = Says(re.compile("^ready"))

STAYS = "import signal, sys; print('ready', flush=True); signal.pause()"
"""Says that it is ready and ends at the first signal."""


def python(name: str, code: str, folder: Path, **more: Any) -> Program:
    """A program of a few lines of Python, ready when it says so."""
    settings: dict[str, Any] = {"ready": READY, "grace_s": 5, "environment": bare_environment(), **more}
    return Program(name=name, command=(sys.executable, "-I", "-S", "-c", code), folder=folder, **settings)
