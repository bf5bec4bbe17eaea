"""One whole stack, as an operator lives with it: up, followed, killed hard, up again as it was, down without a trace."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from deploy.local.running import OWN_ENTRIES
from deploy.local.status import read_status
from tests.support.stacks import Stack, environment_for, run, stack_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stacks")]

PATIENCE_S = 60


def line(second: int) -> str:
    fact = {"at": f"2026-11-20T08:00:{second:02d}+01:00", "kind": "connection", "who": f"x{second}"}
    return json.dumps({**fact, "profile": "eleve", "channel": "web", "access": "ent"}) + "\n"


@pytest.fixture(scope="module")
def territory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("territory")
    (folder / "territory.toml").write_text(
        'name = "Vienne"\nzone = "Europe/Paris"\n[[establishment]]\nuai = "0860001J"\nname = "Collège A"\n'
        'type = "college"\nzone = "Europe/Paris"\n'
    )
    (folder / "0860001J").mkdir()
    (folder / "0860001J" / "agent.toml").write_text('journal = "journal.ndjson"\n')
    (folder / "0860001J" / "journal.ndjson").write_text("".join(map(line, range(7))))
    return folder


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("local")


@pytest.fixture(scope="module")
def stack(territory: Path, local: Path) -> Iterator[Stack]:
    from datetime import datetime

    with stack_of(territory, local, datetime.fromisoformat("2026-11-21T12:00:00+01:00"), "--follow") as stack:
        yield stack


def programs_of(state: Path) -> list[psutil.Process]:
    status = read_status(state)
    assert status
    return [psutil.Process(node.pid) for node in status.nodes.values() if node.pid and psutil.pid_exists(node.pid)]


def until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)
    return value


def total(stack: Stack) -> int:
    answer = stack.json("/tables/connexions.authentifiees", window="last-day")
    return int(answer["total"][0]["value"])


def test_what_was_brought_is_visible(stack):
    assert total(stack) == 7


def test_without_the_token_nothing_is_answered(stack):
    assert httpx.get(f"{stack.url}/api/v1/freshness").status_code == 401


def test_nothing_listens_beyond_this_machine(stack):
    families = [connection for program in programs_of(stack.state) for connection in program.net_connections("tcp")]
    listening = {connection.laddr.ip for connection in families if connection.status == psutil.CONN_LISTEN}
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert listening


def test_secrets_are_for_their_owner_only(stack):
    for name in ("secrets.json", "agent/agent.key", "valkey/valkey.conf"):
        assert (stack.state / name).stat().st_mode & 0o077 == 0, name
    shown = " ".join(word for program in programs_of(stack.state) for word in program.cmdline())
    assert not [secret for secret in json.loads((stack.state / "secrets.json").read_text()).values() if secret in shown]


def test_postgres_never_runs_as_root(stack):
    (postgres,) = [program for program in programs_of(stack.state) if program.name() == "postgres"]
    assert postgres.uids().effective != 0


def test_status_tells_every_program(stack):
    (shown,) = stack.status()["stacks"]
    states = {name: node["state"] for name, node in shown["nodes"].items()}
    assert states == {
        **dict.fromkeys(
            ("kafka", "postgres", "valkey", "identity", "aggregator", "query", "gateway", "agent"), "ready"
        ),
        **dict.fromkeys(("registration", "sources", "visible"), "done"),
    }


def test_env_lets_other_commands_reach_the_stack(stack):
    exported = dict(
        words.removeprefix("export ").split("=", 1) for words in stack.command("local", "env").stdout.splitlines()
    )
    reached = run(("admin", "establishment", "list", "--json"), {**stack.environment, **exported}, 60)
    assert [entry["uai"] for entry in json.loads(reached.stdout)] == ["0860001J"]


def test_one_state_folder_has_one_stack(stack, territory):
    refused = stack.command("local", "up", "--territory", str(territory), "--state", str(stack.state))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1
    assert "runs on" in refused.stderr


def test_a_service_killed_is_started_again(stack):
    before = stack.status()["stacks"][0]["nodes"]["gateway"]["pid"]
    os.kill(before, signal.SIGKILL)
    until(
        lambda: (node := stack.status()["stacks"][0]["nodes"]["gateway"])["state"] == "ready" and node["pid"] != before
    )
    assert total(stack) == 7


def test_a_supervisor_killed_hard_leaves_nothing_and_the_next_goes_on(stack, territory):
    programs = programs_of(stack.state)
    assert len(programs) == 8
    (shown,) = stack.status()["stacks"]
    os.kill(shown["supervisor"], signal.SIGKILL)
    assert psutil.wait_procs(programs, timeout=PATIENCE_S)[1] == []
    assert stack.status() == {"stacks": []}
    with (territory / "0860001J" / "journal.ndjson").open("a") as journal:
        journal.write("".join(map(line, range(7, 10))))
    words = ("local", "up", "--territory", str(territory), "--state", str(stack.state), "--json")
    again = json.loads(stack.command(*words, within_s=300).stdout)
    assert again["token"] == stack.token
    answer = httpx.get(
        f"{again['url']}/api/v1/tables/connexions.authentifiees?window=last-day",
        headers={"Authorization": f"Bearer {again['token']}"},
    ).json()
    assert answer["total"][0]["value"] == 10


def test_down_leaves_no_process_and_forgetting_no_file(stack):
    programs = programs_of(stack.state)
    stopped = stack.command("local", "down", "--state", str(stack.state), "--forget", "--json")
    assert json.loads(stopped.stdout) == {"stopped": [str(stack.state)]}
    assert [program for program in programs if program.is_running()] == []
    assert not [name for name in OWN_ENTRIES if (stack.state / name).exists()]


def test_a_stack_without_state_takes_everything_with_it(territory, tmp_path):
    environment = environment_for(tmp_path, None)
    up = run(("local", "up", "--territory", str(territory), "--json"), environment, 300)
    assert set(json.loads(up.stdout)) == {"url", "token"}
    (state,) = (tmp_path / "stacks").iterdir()
    assert run(("local", "down"), environment, 120).stdout == f"Stopped the stack of {state}\n"
    assert not state.exists()
