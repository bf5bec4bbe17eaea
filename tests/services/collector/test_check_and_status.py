"""`agent check` says what is wrong before anything is sent; `agent status` where a running agent stands. Both as documents too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from contracts.registry import Grant
from services.collector.cli import agent as command
from services.collector.errors import NotDeliveredError
from tests.services.collector.fleet import FAMILIES, enrolled, run_until_idle, seen, write_journal
from tests.services.collector.school import NOW, UAI
from tests.support.fleet_platform import FleetPlatform

OTHER = "0750663N"
COMBINED = '10.0.0.1 - - [19/Nov/2026:08:00:00 +0100] "GET /pronote/eleve.html HTTP/1.1" 200 12 "-" "Mozilla/5.0"\n'


@pytest.fixture(autouse=True)
def held_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRITORIALE_NOW", NOW.isoformat())
    monkeypatch.delenv("TERRITORIALE_KAFKA", raising=False)


@pytest.fixture
def platform() -> Iterator[FleetPlatform]:
    with FleetPlatform() as platform:
        platform.serve(UAI, *FAMILIES, "activities.communications", "activities.travaux", "activities.social")
        yield platform


@pytest.fixture
def folder(platform: FleetPlatform, tmp_path: Path) -> Path:
    write_journal(tmp_path, seen())
    asyncio.run(enrolled(platform, tmp_path))
    return tmp_path


def _run(name: str, folder: Path, *more: str, status: int = 0) -> Any:
    result = CliRunner().invoke(command, [name, "--settings", str(folder / "agent.toml"), "--json", *more])
    assert result.exit_code == status, result.output
    plain = CliRunner().invoke(command, [name, "--settings", str(folder / "agent.toml"), *more])
    assert plain.exit_code == status, plain.output
    return json.loads(result.stdout)


def _looks(found: Any) -> dict[str, tuple[bool, str]]:
    return {each["what"]: (each["ok"], each["detail"]) for each in found["site"]}


def test_all_is_well(folder: Path) -> None:
    found = _run("check", folder)
    assert found["ok"], found
    assert {what for what, (ok, _) in _looks(found).items() if ok} == {"key", "state", "disk", "platform"}
    (one,) = found["establishments"]
    assert [(Path(each["file"]).name, each["format"]) for each in one["files"]] == [("journal.ndjson", "journal")]


def test_a_check_sends_nothing_and_stores_nothing(platform: FleetPlatform, folder: Path) -> None:
    before = (folder / "agent.sqlite").read_bytes()
    _run("check", folder)
    assert (platform.hellos, platform.messages) == ([], [])
    assert (folder / "agent.sqlite").read_bytes() == before


def test_what_is_wrong_with_the_site(platform: FleetPlatform, folder: Path) -> None:
    (folder / "agent.key").chmod(0o644)
    platform.ahead = timedelta(hours=2)
    looks = _looks(_run("check", folder))
    assert looks["key"][0] is False
    assert "chmod 600" in looks["key"][1]
    assert looks["platform"][0] is False
    assert "clock is -7" in looks["platform"][1]


def test_a_platform_that_cannot_be_reached(platform: FleetPlatform, folder: Path) -> None:
    path = folder / "agent.toml"
    path.write_text(path.read_text().replace(platform.url, "https://127.0.0.1:9"))
    ok, detail = _looks(_run("check", folder))["platform"]
    assert not ok
    assert "look at the address, HTTPS_PROXY, [gateway] ca" in detail


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (COMBINED, "combined"),
        ("www.college.example " + COMBINED, "combined, host first"),
        ('{"time_iso8601": "2026-11-19T08:00:00+01:00", "request": "GET / HTTP/1.1"}\n', "nginx JSON"),
        ("#Software: IIS\n#Fields: date time c-ip\n2026-11-19 07:00:00 10.0.0.1\n", "IIS W3C"),
        ("nothing at all\n", "not recognised"),
    ],
)
def test_formats_are_recognised_and_nothing_of_the_lines_is_told(folder: Path, text: str, expected: str) -> None:
    place = folder / "sources" / UAI
    (place / "agent.toml").write_text('access_log = "access.log"\n')
    (place / "access.log").write_text(text)
    (one,) = _run("check", folder)["establishments"]
    assert [each["format"] for each in one["files"]] == [expected]
    assert "10.0.0.1" not in json.dumps(one)


def test_a_log_without_a_host_of_the_establishment_is_told(folder: Path) -> None:
    place = folder / "sources" / UAI
    (place / "agent.toml").write_text('access_log = "access.log"\nhost_first = true\n')
    (place / "access.log").write_text("elsewhere.example " + COMBINED)
    (one,) = _run("check", folder)["establishments"]
    assert any(each.startswith("no request of the access log is for this establishment") for each in one["warnings"])


def test_grants_and_sources_that_do_not_go_together(platform: FleetPlatform, folder: Path) -> None:
    platform.grants.append(Grant("agent-2", UAI, "web"))
    platform.grants = [each for each in platform.grants if each.family != "software"]
    platform.serve(UAI, "census.comptes", "observed.access-log")
    asyncio.run(run_until_idle(folder))
    (one,) = _run("check", folder)["establishments"]
    assert one["warnings"] == [
        "census.comptes: granted, and no source tells of it",
        "connections come from the journal, and observed.access-log is granted: the platform waits for a log and shows connections as nd",
        "observed.access-log: granted, and no source tells of it",
        "software: the sources tell of it, and it is not granted: it is not counted",
        "web: granted to agent agent-2 for the same days: it would be counted twice",
    ]
    (folder / "sources" / UAI / "agent.toml").write_text('access_log = "access.log"\n')
    (folder / "sources" / UAI / "access.log").write_text(COMBINED)
    platform.grants = [each for each in platform.grants if each.family != "observed.access-log"]
    asyncio.run(run_until_idle(folder))
    (one,) = _run("check", folder)["establishments"]
    assert any("they would look unobserved" in each for each in one["warnings"])


def test_status_says_who_and_what_was_heard(platform: FleetPlatform, folder: Path) -> None:
    asyncio.run(run_until_idle(folder))
    found = _run("status", folder, "--alert")
    assert (found["agent"], found["outlet"], len(found["state_name"])) == ("agent-1", "https", 16)
    said = found["platform"]
    assert (said["url"], said["minimum_version"], said["too_old"], said["failure"]) == (
        platform.url,
        "0.0.1",
        False,
        "",
    )
    assert said["last_hello"]
    (one,) = found["establishments"]
    assert {"family": "web", "from": None, "to": None} in one["grants"]
    journal = one["sources"]["journal"]
    assert (journal["unread_bytes"], journal["last"]) == (0, "2026-11-19T07:00:00+00:00")
    assert one["to_publish"] == 0
    write_journal(folder, seen(who="u2"))
    late = _run("status", folder)["establishments"][0]["sources"]["journal"]["unread_bytes"]
    assert late == len(seen(who="u2")) + 1


def test_status_alerts_a_monitor(platform: FleetPlatform, folder: Path) -> None:
    platform.serve(OTHER, "web")
    asyncio.run(run_until_idle(folder))
    found = _run("status", folder, "--alert", status=10)
    (remark,) = found["platform"]["remarks"]
    assert remark.startswith(f"{OTHER} (Collège {OTHER} (fictif)): granted, but no [[establishment]]")
    platform.silent = True
    asyncio.run(run_until_idle_away(folder))
    said = _run("status", folder, "--alert", status=10)["platform"]
    assert "503" in said["failure"]
    assert said["failing_since"]


async def run_until_idle_away(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.collector.agent.PATIENCE_UNTIL_IDLE", 0.0)
        with pytest.raises(NotDeliveredError):
            await run_until_idle(folder)


def test_an_establishment_that_is_not_collected_is_told(platform: FleetPlatform, folder: Path) -> None:
    platform.collect(UAI, collected=False)
    asyncio.run(run_until_idle(folder))
    assert _run("check", folder)["left_out"] == [UAI]
    assert any("no convention" in each for each in _run("status", folder)["platform"]["remarks"])


def test_a_journal_that_two_establishments_read_is_told(platform: FleetPlatform, folder: Path) -> None:
    platform.serve(OTHER, *FAMILIES)
    write_journal(folder, uai=OTHER)
    (folder / "sources" / OTHER / "agent.toml").write_text(f'journal = "../{UAI}/journal*"\n')
    (folder / "agent.toml").write_text(
        (folder / "agent.toml").read_text()
        + f'[[establishment]]\nuai = "{OTHER}"\nzone = "Europe/Paris"\ntype = "college"\nsources = "sources/{OTHER}"\n'
    )
    asyncio.run(run_until_idle(folder))
    found = _run("check", folder)
    for one, other in zip(found["establishments"], (OTHER, UAI), strict=True):
        assert any(f"is read for {other} too" in each for each in one["warnings"])
