"""Starts one program that dies with its supervisor: run as a script, before anything is installed or imported.

Usage: leash.py PARENT SIGNAL USER GROUP PROGRAM [ARGUMENT…]; USER and GROUP are numbers, or -1 to stay who we are.

The kernel sends SIGNAL when the parent ends in whatever way, kill -9 included (PR_SET_PDEATHSIG). Only Linux has this; on macOS
a killed supervisor leaves its programs running until the next `local up` or `local down`, which find them in the state file.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def become(user: int, group: int) -> None:
    """Drop root for good; must come before `die_with`, because a change of user clears the death signal."""
    if user >= 0:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)


def die_with(parent: int, signal: int) -> None:
    """Ask the kernel for `signal` at the parent's death; a parent that died just before is seen by the changed parent id."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal)
    if os.getppid() != parent:
        sys.exit("the supervisor is gone")


def main(arguments: list[str]) -> None:
    parent, signal, user, group = map(int, arguments[:4])
    become(user, group)
    die_with(parent, signal)
    os.execv(arguments[4], arguments[4:])  # noqa: S606 - starting a program is this module's purpose


if __name__ == "__main__":
    main(sys.argv[1:])
