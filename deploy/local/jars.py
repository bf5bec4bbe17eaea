"""Kafka's jars: fetched by the ordinary clients of Maven repositories, checked against the lock that the repository holds."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local.errors import RegistryUnreachableError, WrongChecksumError
from deploy.local.places import cache_folder

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LOCK = Path(__file__).parent / "kafka.lock.toml"
"""jgo's lock: coordinates and sha256 of every jar, no host. Written again by `territoriale local fetch --relock`."""

WANTED = ("org.apache.kafka:kafka_2.13:4.3.1", "org.slf4j:slf4j-simple:1.7.36")
"""What the lock is resolved from. slf4j-simple because it writes to the console, where the supervisor listens."""

DOWNLOADS_AT_ONCE = 8
"""Parallel downloads: 46 jars, 45 MB, take 4 s so and 14 s one by one."""

TIMEOUT_S = 20
"""For an answer of the registry, not for a whole jar."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where the jar lies in a repository, as Maven lays them out."""
        return Path(*self.group.split("."), self.artifact, self.version, f"{self.artifact}-{self.version}.jar")

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def locked_jars(lock: Path = LOCK) -> list[Jar]:
    """The jars of the lock, in the order of the class path."""
    from jgo.env import LockFile

    return [Jar(d.groupId, d.artifactId, d.version, d.sha256 or "") for d in LockFile.load(lock).dependencies]


def lock_digest(lock: Path = LOCK) -> str:
    """Names everything that depends on the exact jars."""
    return hashlib.sha256(lock.read_bytes()).hexdigest()[:12]


def repository() -> Path:
    """The folder of the fetched jars, laid out as Maven does."""
    return cache_folder() / "maven"


def jar_paths(lock: Path = LOCK) -> list[Path]:
    """Where the jars of the lock lie, fetched or not."""
    return [repository() / jar.path for jar in locked_jars(lock)]


def _mark(lock: Path) -> Path:
    """Its presence says that this lock's jars were fetched and verified."""
    return repository() / f".verified-{lock_digest(lock)}"


def jars_are_here(lock: Path = LOCK) -> bool:
    return _mark(lock).exists()


def fetch_jars(say: Progress = lambda _: None, lock: Path = LOCK) -> list[Path]:
    """Every jar of the lock on this disk, verified; fetches those that are missing."""
    if not jars_are_here(lock):
        with _one_at_a_time():
            _fetch_missing(locked_jars(lock), say)
            _mark(lock).touch()
    return jar_paths(lock)


def _fetch_missing(jars: list[Jar], say: Progress) -> None:
    """Copies a local Maven's jars first; then jgo; then, where it cannot reach anything, `mvn` with its operator's mirrors."""
    _copy_from_local_maven(jars)
    missing = [jar for jar in jars if not _is_right(jar)]
    if not missing:
        return
    say(f"fetching {len(missing)} jars of Apache Kafka")
    problem = _download(missing)
    if problem and shutil.which("mvn"):
        say("fetching them again with the local mvn")
        problem = _ask_mvn(missing)
    if problem:
        raise problem


def _copy_from_local_maven(jars: list[Jar]) -> None:
    home = _maven_home() / "repository"
    for jar in jars:
        if not _is_right(jar) and (home / jar.path).is_file():
            (repository() / jar.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(home / jar.path, repository() / jar.path)


def _maven_home() -> Path:
    """Users of containers may have no home at all; then this is a folder that does not exist."""
    return Path(os.path.expanduser("~/.m2"))  # noqa: PTH111 - Path.expanduser raises where there is no home


def _download(jars: list[Jar]) -> RegistryUnreachableError | None:
    context = _maven()
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        try:
            for _ in pool.map(lambda jar: _download_one(context, jar), jars):
                pass
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors, jgo's own are RuntimeErrors
            pool.shutdown(cancel_futures=True)  # the other jars would wait as long for the same answer
            return _unreachable(str(error))
    return None


def _download_one(context: MavenContext, jar: Jar) -> None:
    """A download cut short leaves half a file under its final name, hence the unlinking of whatever is not right."""
    path = repository() / jar.path
    path.unlink(missing_ok=True)
    context.create_dependency(jar.coordinate).artifact.resolve()
    if not _is_right(jar):
        path.unlink()
        raise WrongChecksumError(
            f"The jar {jar.coordinate} that was fetched is not the one of {LOCK.name} (sha256 differs); "
            "try again, and if it stays so, do not use that repository."
        )


def _ask_mvn(jars: list[Jar]) -> RegistryUnreachableError | None:
    pom = cache_folder() / "kafka-jars.pom.xml"
    pom.write_text(_pom(jars))
    settings = [] if _maven_home().exists() else [f"-Dmaven.repo.local={cache_folder() / 'mvn'}"]
    done = subprocess.run(
        ["mvn", "--batch-mode", "--quiet", "--file", str(pom), *settings, "dependency:copy-dependencies",
         "-DexcludeTransitive=true", "-Dmdep.useRepositoryLayout=true", f"-DoutputDirectory={repository()}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    wrong = [jar.coordinate for jar in jars if not _is_right(jar)]
    return _unreachable(done.stdout.strip()[-300:] or f"mvn did not bring {wrong[0]}") if wrong else None


def _pom(jars: list[Jar]) -> str:
    lines = "".join(
        f"<dependency><groupId>{j.group}</groupId><artifactId>{j.artifact}</artifactId><version>{j.version}</version></dependency>"
        for j in jars
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId>"
        f"<artifactId>kafka-jars</artifactId><version>1</version><dependencies>{lines}</dependencies></project>"
    )


def _unreachable(reason: str) -> RegistryUnreachableError:
    first = (reason.splitlines() or ["no reason given"])[0][:200]
    return RegistryUnreachableError(
        f"Kafka's jars could not be fetched ({first}); check the network or the proxy variables and run "
        "`territoriale local fetch` again, or give the address of a running Kafka in TERRITORIALE_KAFKA."
    )


def _is_right(jar: Jar) -> bool:
    path = repository() / jar.path
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two stacks of one clone may start at the same moment on an empty cache."""
    repository().mkdir(parents=True, exist_ok=True)
    with (repository() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _maven() -> MavenContext:
    from jgo.maven import MavenContext

    logging.getLogger("jgo").setLevel(logging.ERROR)
    return MavenContext(repo_cache=repository(), timeout=TIMEOUT_S)


def relock(wanted: Sequence[str] = WANTED, lock: Path = LOCK) -> int:
    """Resolve `wanted` again and rewrite the lock; returns the number of jars."""
    from jgo.env import LockFile

    context = _maven()
    given, brought = context.resolver.resolve([context.create_dependency(each) for each in wanted])
    LockFile.from_resolved_dependencies(given + [d for d in brought if d.scope in ("compile", "runtime")]).save(lock)
    return len(locked_jars(lock))
