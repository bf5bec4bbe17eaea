"""What an agent asks of the operating system, told apart where Windows (untried) differs from the others."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, TextIO

if sys.platform == "win32":
    import _winapi
    import msvcrt
    import os
else:
    import fcntl
    import resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def leave_no_dump() -> None:
    """A crash dump would hold the lines in hand. Windows writes none of a service unless its registry asks for them.

    A service whose filter refuses this call (systemd's `@resources`) has its limit from its unit: `LimitCORE=0`.
    """
    if sys.platform != "win32":
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextmanager
def on_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` in the running loop at SIGTERM and SIGINT (on Windows Ctrl-C, and Ctrl-Break as service wrappers send it)."""
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGTERM, signal.SIGINT]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)
    before = {number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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


def open_to_read(path: Path) -> BinaryIO:
    """Open a file that somebody else goes on writing, renaming and deleting: on Windows that has to be allowed by the reader."""
    if sys.platform == "win32":
        share = 0x1 | 0x2 | 0x4  # reading, writing, deleting
        handle = _winapi.CreateFile(str(path), _winapi.GENERIC_READ, share, 0, _winapi.OPEN_EXISTING, 0, 0)
        return os.fdopen(msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY), "rb")
    return path.open("rb")
