"""`territoriale local …`: help everywhere, bad input in one sentence, nothing left behind."""

from __future__ import annotations

import json
import socket

import pytest
from click.testing import CliRunner

from deploy.local.cli import local
from deploy.local.places import stacks_folder
from deploy.local.ports import free_port, variable


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TERRITORIALE_LOCAL", str(tmp_path / "local"))


def run(*words: str):
    return CliRunner().invoke(local, list(words))


@pytest.mark.parametrize("command", [(), *((name,) for name in local.commands)])
def test_every_command_explains_itself(command):
    shown = run(*command, "--help")
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 5


def test_a_bad_territory_is_one_sentence_and_starts_nothing(tmp_path):
    (tmp_path / "territory.toml").write_text('name = "Vienne"\nzone = "Mars/Base"\n')
    refused = run("up", "--territory", str(tmp_path), "--json")
    assert (refused.exit_code, refused.stdout) == (2, "")
    where, what = (
        f"{tmp_path}/territory.toml, zone",
        "'Mars/Base' is not a time zone such as Europe/Paris or Indian/Reunion",
    )
    assert refused.stderr == f"{where}: {what}; correct it and run the command again.\n"
    assert not stacks_folder().exists()


@pytest.mark.parametrize("text", ["tomorrow", "2026-11-20T12:00:00"])
def test_a_business_clock_without_offset_is_refused(monkeypatch, text):
    monkeypatch.setenv("TERRITORIALE_NOW", text)
    refused = run("up")
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"TERRITORIALE_NOW={text} is not an instant with its offset; write for example")


def test_a_busy_port_is_one_sentence_and_starts_nothing(monkeypatch):
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        monkeypatch.setenv(variable("gateway"), str(taken.getsockname()[1]))
        refused = run("up")
    assert refused.exit_code == 1
    assert refused.stderr.count("\n") == 1
    assert "where gateway should listen, is used by" in refused.stderr
    assert json.loads(run("status", "--json").stdout) == {"stacks": []}


def test_down_without_a_stack_is_no_error():
    assert run("down").stdout == "No stack is running.\n"
    assert json.loads(run("down", "--json").stdout) == {"stopped": []}


def test_forgetting_wants_to_know_what():
    refused = run("down", "--forget")
    assert refused.exit_code == 2
    assert "--forget needs --state" in refused.stderr


def test_env_wants_one_stack():
    refused = run("env")
    assert refused.exit_code == 1
    assert refused.stderr == "0 running stacks: name one with --state, see `territoriale local status`.\n"
