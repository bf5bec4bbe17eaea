"""Kafka Streams with exactly-once, built here from its jars where a JDK is found: sources beside this, locked like the broker's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from deploy.local.jars import fetch_jars

LOCK = Path(__file__).with_name("streams.lock.toml")
"""Written again by `python -m bench.peers.streams`."""
WANTED = ("org.apache.kafka:kafka-streams:4.3.1", "org.slf4j:slf4j-simple:1.7.36")
SOURCES = Path(__file__).with_name("streams")
HEAP = "2g"


class NoJdkError(Exception):
    """Nothing here compiles Java."""


def built(folder: Path) -> list[str]:
    """Compile into `folder`; the command line that runs the result, its arguments excepted."""
    compiler = _compiler()
    if compiler is None:
        raise NoJdkError("no JDK")
    folder.mkdir(exist_ok=True)
    jars = os.pathsep.join(map(str, fetch_jars(lock=LOCK)))
    sources = sorted(map(str, SOURCES.glob("*.java")))
    subprocess.run([compiler, "--release", "17", "-cp", jars, "-d", str(folder), *sources], check=True)  # noqa: S603 - our own sources
    return [
        str(compiler.with_name("java")), f"-Xmx{HEAP}", "-XX:+UseParallelGC",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", os.pathsep.join((str(folder), jars)), "Streams",
    ]  # fmt: skip


def _compiler() -> Path | None:
    home = os.environ.get("JAVA_HOME")
    found = Path(home, "bin", "javac") if home else Path(shutil.which("javac") or "")
    return found.resolve() if found.is_file() else None


if __name__ == "__main__":
    from deploy.local.jars import relock

    relock(WANTED, LOCK)
