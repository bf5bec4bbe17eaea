"""The examples that are installed beside an agent can be used as they stand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from services.collector.config import read_settings, read_sources
from services.collector.errors import (
    CollectorError,
    KeyRefusedError,
    SettingsError,
    StateInUseError,
    StateUnavailableError,
    TooOldError,
)
from tests.architecture.sources import ROOT

EXAMPLES = ROOT / "deploy" / "agent"


def test_the_examples_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERRITORIALE_KAFKA", raising=False)
    place = tmp_path / "sources" / "0860001J"
    place.mkdir(parents=True)
    shutil.copy(EXAMPLES / "agent.toml", tmp_path)
    shutil.copy(EXAMPLES / "sources.toml", place / "agent.toml")
    settings = read_settings(tmp_path / "agent.toml")
    assert settings.refused == ()
    assert (settings.publishes_by, settings.rotate_key_days) == ("https", 365)
    assert settings.establishments[0].sources == read_sources(place)
    assert settings.establishments[0].sources.connections_source == "journal"


def test_what_is_commented_in_the_example_can_be_used_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERRITORIALE_KAFKA", raising=False)
    text = (EXAMPLES / "agent.toml").read_text("utf-8")
    lines = [line.removeprefix("# ") if " = " in line or line == "# [kafka]" else line for line in text.splitlines()]
    (tmp_path / "sources" / "0860001J").mkdir(parents=True)
    shutil.copy(EXAMPLES / "sources.toml", tmp_path / "sources" / "0860001J" / "agent.toml")
    (tmp_path / "agent.toml").write_text(
        "\n".join(each for each in lines if not each.startswith("With outlet")), "utf-8"
    )
    settings = read_settings(tmp_path / "agent.toml")
    assert (settings.kafka.security, settings.gateway.ca) == ("sasl-tls", str(tmp_path / "authority.pem"))
    assert settings.establishments[0].grants


def test_a_service_manager_does_not_repeat_what_only_a_person_can_mend() -> None:
    """A revoked agent that came back every thirty seconds would be refused each time."""
    unit = (EXAMPLES / "territoriale-agent.service").read_text("utf-8").splitlines()
    (final,) = (line.partition("=")[2] for line in unit if line.startswith("RestartPreventExitStatus="))
    hopeless = {error.exit_code for error in (SettingsError, StateInUseError, KeyRefusedError, TooOldError)}
    assert {int(code) for code in final.split()} == hopeless
    assert hopeless.isdisjoint({CollectorError.exit_code, StateUnavailableError.exit_code})
