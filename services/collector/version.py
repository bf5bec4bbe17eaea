"""The agent's own version, whichever distribution it was installed from."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

DISTRIBUTIONS = ("territoriale-agent", "console-territoriale")
"""The agent alone, as a school installs it; the whole product."""


def agent_version() -> str:
    """Such as 0.1.0; the platform says which is the oldest it still hears."""
    for name in DISTRIBUTIONS:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "0"


def is_older(one: str, other: str) -> bool:
    """Whether version `one` comes before `other`; of what follows the numbers (`rc1`, `+local`) nothing is made."""
    return _numbers(one) < _numbers(other)


def _numbers(text: str) -> tuple[int, ...]:
    found = []
    for part in text.split("."):
        digits = "".join(part[: len(part) - len(part.lstrip("0123456789"))])
        found.append(int(digits or 0))
        if digits != part:
            break
    while found and found[-1] == 0:
        found.pop()
    return tuple(found)
