"""Settings files: each fault names file and field."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from services.collector.config import read_settings, read_sources
from services.collector.errors import SettingsError

GOOD = """
agent = "agent-1"
state = "state/agent.sqlite"
key = "agent.key"
[kafka]
bootstrap = "127.0.0.1:9092"
[[establishment]]
uai = "0750654D"
zone = "Europe/Paris"
type = "college"
sources = "sources"
grants = [{family = "web", from = 2026-09-01}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TERRITORIALE_NOW", "TERRITORIALE_KAFKA"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "agent.toml").write_text(
        'journal = ["a.ndjson", "../b/*.gz"]\nhosts = ["x.fr"]\ncas = false\n'
    )
    return tmp_path


def _settings(folder: Path, text: str = GOOD) -> Path:
    path = folder / "agent.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(folder: Path) -> None:
    found = read_settings(_settings(folder))
    (establishment,) = found.establishments
    assert (found.agent, found.cadence_seconds, found.bootstrap) == ("agent-1", 300, "127.0.0.1:9092")
    assert (found.state, establishment.folder) == (folder / "state/agent.sqlite", folder / "sources")
    assert establishment.sources.journal_paths == ("a.ndjson", "../b/*.gz")
    assert establishment.grants_family("web", date(2026, 9, 1))
    assert not establishment.grants_family("web", date(2026, 8, 31))
    assert not establishment.grants_family("people", date(2026, 9, 1))


def test_the_environment_moves_the_clock_and_the_brokers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRITORIALE_NOW", "2026-11-20T13:00:00+01:00")
    monkeypatch.setenv("TERRITORIALE_KAFKA", "other:9092")
    found = read_settings(_settings(folder))
    assert (found.clock.now(), found.bootstrap) == (datetime(2026, 11, 20, 12, tzinfo=UTC), "other:9092")


@pytest.mark.parametrize(
    ("before", "after", "field", "words"),
    [
        ("agent = ", "agnet = ", "agnet", "unknown"),
        ('key = "agent.key"', "", "key", "missing"),
        ("[kafka]", "cadence_seconds = 0\n[kafka]", "cadence_seconds", "greater than 0"),
        ("[kafka]", 'cadence_seconds = "often"\n[kafka]', "cadence_seconds", "float"),
        ('bootstrap = "127.0.0.1:9092"', "bootstrap = 9", "kafka.bootstrap", "str"),
    ],
)
def test_a_fault_of_the_process_is_raised(folder: Path, before: str, after: str, field: str, words: str) -> None:
    path = _settings(folder, GOOD.replace(before, after, 1))
    with pytest.raises(SettingsError) as caught:
        read_settings(path)
    assert caught.value.file == str(path)
    assert caught.value.field == field
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "field", "words"),
    [
        ("0750654D", "0750654E", "establishment[0].uai", "should be D"),
        ("Europe/Paris", "Europe/Lutece", "establishment[0].zone", "not a time zone"),
        ("type =", "kind =", "establishment[0].kind", "unknown"),
        ('family = "web"', 'family = "wob"', "establishment[0].grants[0].family", "no family"),
    ],
)
def test_a_fault_of_one_establishment_leaves_the_others(
    folder: Path, before: str, after: str, field: str, words: str
) -> None:
    good = GOOD[GOOD.index("[[establishment]]") :].replace("0750654D", "0750663N")
    found = read_settings(_settings(folder, GOOD.replace(before, after, 1) + good))
    assert [each.uai for each in found.establishments] == ["0750663N"]
    (refused,) = found.refused
    assert refused.field == field
    assert words in str(refused)


def test_the_same_establishment_twice_is_refused(folder: Path) -> None:
    found = read_settings(_settings(folder, GOOD + GOOD[GOOD.index("[[establishment]]") :]))
    assert [str(each) for each in found.refused] == [
        f"{folder / 'agent.toml'}: establishment[1].uai: 0750654D is given twice"
    ]


def test_what_a_windows_editor_puts_first_is_no_fault(folder: Path) -> None:
    sources = folder / "sources" / "agent.toml"
    sources.write_text(sources.read_text(), "utf-8-sig")
    path = _settings(folder)
    path.write_text(path.read_text(), "utf-8-sig")
    assert [each.uai for each in read_settings(path).establishments] == ["0750654D"]


@pytest.mark.parametrize("text", ["yesterday", "2026-11-20T13:00:00"])
def test_a_clock_that_names_no_instant_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TERRITORIALE_NOW", text)
    with pytest.raises(SettingsError, match=f"TERRITORIALE_NOW: '{text}'"):
        read_settings(_settings(folder))


def test_settings_that_are_a_pipe_hold_nobody_up(folder: Path) -> None:
    os.mkfifo(folder / "pipe.toml")
    with pytest.raises(SettingsError, match=r"pipe\.toml: is a folder, a pipe or a device, not a file"):
        read_settings(folder / "pipe.toml")


def test_missing_and_broken_files_are_named(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml: there is no such file"):
        read_settings(folder / "nowhere.toml")
    with pytest.raises(SettingsError, match="is not TOML"):
        read_settings(_settings(folder, "agent = "))
    (folder / "sources" / "agent.toml").unlink()
    assert "there is no such file" in str(read_settings(_settings(folder)).refused[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('journal = "a"\njurnal = "b"', "jurnal"),
        ('connections_from = "access-log"\njournal = "a"', "no access_log is given"),
        ('connections_from = "journal"', "no journal is given"),
        ('connections_from = "census"', "connections_from"),
        ("journal = 3", "journal"),
    ],
)
def test_sources_are_checked(folder: Path, text: str, words: str) -> None:
    (folder / "sources" / "agent.toml").write_text(text)
    with pytest.raises(SettingsError, match=words):
        read_sources(folder / "sources")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ('journal = "a"', "journal"),
        ('journal = "a"\naccess_log = "b"', "journal"),
        ('access_log = "b"', "access-log"),
        ("", "journal"),
    ],
)
def test_the_journal_is_in_charge_if_there_is_one(folder: Path, text: str, source: str) -> None:
    (folder / "sources" / "agent.toml").write_text(text)
    assert read_sources(folder / "sources").connections_source == source
