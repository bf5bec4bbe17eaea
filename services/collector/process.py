"""What an agent asks of the operating system, told apart where Windows (untried) differs from the others."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, TextIO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl
    import resource

if TYPE_CHECKING:
    from collections.abc import Callable


def leave_no_dump() -> None:
    """A crash dump would hold the lines in hand. Windows writes none of a service unless its registry asks for them."""
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def on_stop(stop: Callable[[], None]) -> None:
    """Call `stop` in the running loop at SIGTERM and SIGINT (on Windows Ctrl-C, and Ctrl-Break as service wrappers send it)."""
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGTERM, signal.SIGINT]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)
    for number in numbers:
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))


def lock(file: TextIO) -> bool:
    """Hold an open file alone until it is closed; False when somebody else does."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
