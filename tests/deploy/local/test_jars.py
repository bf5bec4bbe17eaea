"""Kafka's jars come from wherever the ordinary clients find them, and only as the lock says."""

from __future__ import annotations

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from deploy.local import jars
from deploy.local.errors import RegistryUnreachableError, WrongChecksumError
from deploy.local.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = b"a small jar"
JAR = jars.Jar("org.example", "small", "1.0", hashlib.sha256(CONTENT).hexdigest())


class Repository(BaseHTTPRequestHandler):
    """Holds one jar, and no checksums beside it."""

    content = CONTENT

    def do_GET(self) -> None:
        known = self.path.endswith("/org/example/small/1.0/small-1.0.jar")
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(self.content if known else b"")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def only_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, an empty home, and one small jar instead of Kafka's."""
    monkeypatch.setenv("TERRITORIALE_LOCAL", str(tmp_path / "local"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(jars, "locked_jars", lambda _: [JAR])


@pytest.fixture
def remote(only_jar: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Repository) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        use(monkeypatch, server.server_port)
        yield
        server.shutdown()


def use(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    from jgo.maven import MavenContext

    def context() -> MavenContext:
        return MavenContext(repo_cache=jars.repository(), remote_repos={"here": f"http://127.0.0.1:{port}"}, timeout=5)

    monkeypatch.setattr(jars, "_maven", context)


def test_the_lock_names_exact_jars_and_no_host():
    text = jars.LOCK.read_text()
    assert "://" not in text
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars.locked_jars())
    assert {wanted.split(":", 1)[1] for wanted in jars.WANTED} <= {
        f"{jar.artifact}:{jar.version}" for jar in jars.locked_jars()
    }


def test_jars_are_fetched_once(remote, monkeypatch):
    (path,) = jars.fetch_jars()
    assert path.read_bytes() == CONTENT
    use(monkeypatch, free_port())
    assert jars.fetch_jars() == [path]


def test_half_a_download_is_fetched_again(remote):
    path = jars.repository() / JAR.path
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:3])
    assert jars.fetch_jars()[0].read_bytes() == CONTENT


def test_another_jar_than_the_locked_one_is_refused(remote, monkeypatch):
    monkeypatch.setattr(Repository, "content", b"something else")
    with pytest.raises(WrongChecksumError, match=r"org\.example:small:1\.0 .* is not the one of kafka\.lock\.toml"):
        jars.fetch_jars()
    assert not (jars.repository() / JAR.path).exists()
    assert not jars.jars_are_here()


def test_no_registry_is_told_with_what_to_do(only_jar, monkeypatch):
    use(monkeypatch, free_port())
    with pytest.raises(RegistryUnreachableError, match=r"could not be fetched .* TERRITORIALE_KAFKA"):
        jars.fetch_jars()


def test_the_jars_of_a_local_maven_are_used(only_jar, tmp_path, monkeypatch):
    own = tmp_path / ".m2" / "repository" / JAR.path
    own.parent.mkdir(parents=True)
    own.write_bytes(CONTENT)
    use(monkeypatch, free_port())
    assert jars.fetch_jars()[0].read_bytes() == CONTENT


def test_where_nothing_else_reaches_a_registry_mvn_is_asked(only_jar, tmp_path, monkeypatch):
    """A stand-in for mvn, with mirrors of its own: it lays the jar where it is told to."""
    target = jars.repository() / JAR.path
    mvn = tmp_path / "mvn"
    mvn.write_text(f"#!/bin/sh\nPATH=/bin:/usr/bin; mkdir -p {target.parent} && printf 'a small jar' > {target}\n")
    mvn.chmod(0o755)
    use(monkeypatch, free_port())
    said: list[str] = []
    assert jars.fetch_jars(said.append)[0].read_bytes() == CONTENT
    assert said[-1] == "fetching them again with the local mvn"
