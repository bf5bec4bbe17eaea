"""The agent alone, as a school installs it: one wheel in a fresh environment, by plain pip, from the code to the first number."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT
from tests.services.collector.fleet import FAMILIES, seen, write_journal
from tests.services.collector.school import NOW, UAI
from tests.support.fleet_platform import FleetPlatform

pytestmark = pytest.mark.e2e
UV = ROOT / ".tools" / "bin" / "uv"
OF_THE_PLATFORM = {
    "fastapi",
    "faststream",
    "sqlalchemy",
    "opentelemetry-sdk",
    "asyncpg",
    "uvicorn",
    "numpy",
    "aiokafka",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "deploy.agent.build", str(UV), str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a fresh environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("fresh") / "program"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True, text=True, timeout=300)
    return folder / "bin"


def _run(programs: Path, folder: Path, *words: str, status: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TERRITORIALE"))}
    environment["TERRITORIALE_NOW"] = NOW.isoformat()
    command = [str(programs / "territoriale"), *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_it_holds_what_an_agent_imports_and_nothing_of_the_platform(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "services/collector/agent.py",
        "services/collector/schema.sql",
        "contracts/catalogue/measures.toml",
    } <= names
    others = {name for name in names if name.startswith("services/") and not name.startswith("services/collector/")}
    assert others == {"services/__init__.py"}
    assert not any(name.startswith(("deploy/", "tests/", "contracts/topics", "contracts/examples")) for name in names)


def test_its_dependencies_are_its_own_and_pinned(programs: Path, wheel: Path) -> None:
    listed = subprocess.run([programs / "pip", "list", "--format", "json"], check=True, capture_output=True, text=True)
    installed = {each["name"].lower(): each["version"] for each in json.loads(listed.stdout)}
    assert OF_THE_PLATFORM & installed.keys() == set()
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    wanted = [line for line in archive.read(metadata).decode().splitlines() if line.startswith("Requires-Dist:")]
    assert wanted
    assert all("==" in line for line in wanted)


def test_from_the_code_to_the_first_number(programs: Path, tmp_path: Path) -> None:
    assert "agent" in _run(programs, tmp_path, "--help")
    assert "enrol" in _run(programs, tmp_path, "agent", "--help")
    settings = ("--settings", "agent.toml")
    write_journal(tmp_path, seen())
    with FleetPlatform() as platform:
        platform.serve(UAI, *FAMILIES)
        said = _run(programs, tmp_path, "agent", "enrol", "--url", platform.url, "--code", "code-1", *settings)
        assert "enrolled as agent-1" in said
        checked = json.loads(_run(programs, tmp_path, "agent", "check", *settings, "--json"))
        assert checked["establishments"][0]["counts"]["web"] == 1
        assert platform.messages == []
        _run(programs, tmp_path, "agent", "run", *settings, "--until-idle")
        assert platform.web(UAI) == 1
        found = json.loads(_run(programs, tmp_path, "agent", "status", *settings, "--json"))
        assert found["establishments"][0]["to_publish"] == 0
        assert found["version"] == platform.hellos[0].version == checked["version"]
        _run(programs, tmp_path, "agent", "rotate-key", *settings)
        assert len(platform.keys) == 2


def test_settings_that_cannot_be_used_have_their_own_exit_code(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("agent = 5\n")
    said = _run(programs, tmp_path, "agent", "check", "--settings", "agent.toml", "--json", status=2)
    assert json.loads(said)["errors"][0]["code"] == "bad_settings"
