"""The folder as an agent and an operator meet it: whole lines, no gap, continued and never rewritten."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest
from click.testing import CliRunner

from contracts.uai import parse_uai
from deploy.local.simulation import prepare
from deploy.local.simulation.__main__ import main
from deploy.local.simulation.journal import repair
from deploy.local.simulation.live import Simulation
from deploy.local.simulation.preparation import FolderInUseError, NotPreparedError, held
from deploy.local.simulation.territory import ESTABLISHMENTS, LEVELS
from tests.deploy.simulation.reading import OPENING, contents, dated_facts, facts, heartbeats, instant, journal_files

NOVEMBER = datetime.fromisoformat("2026-11-23T10:15:30+01:00")
RENTREE = datetime.fromisoformat("2026-09-10T10:15:30+02:00")
"""Early in a school year, the history is the shortest."""

SUMMER = datetime.fromisoformat("2026-08-30T10:15:30+02:00")
"""Eight weeks of summer are written in no time."""

REAL_EXAMPLES = {"0750654D", "0752524L", "0920131T", "6200002H", "7200583W", "9740979W"}
UAI = ESTABLISHMENTS[0].uai


class Steps(Event):
    """A clock and its stop in one: each wait moves the clock, the last one stops."""

    def __init__(self, start: datetime, moves: list[timedelta]) -> None:
        super().__init__()
        self.now = start
        self._moves = list(moves)

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - the clock moves by its own steps
        if not self._moves:
            self.set()
        else:
            self.now += self._moves.pop(0)
        return self.is_set()


def follow(folder: Path, start: datetime, *moves: timedelta) -> list[str]:
    said: list[str] = []
    steps = Steps(start, list(moves))
    Simulation(folder, clock=lambda: steps.now, say=said.append, stop=steps).run(until_caught_up=False)
    return said


def catch_up(folder: Path, now: datetime) -> list[str]:
    said: list[str] = []
    Simulation(folder, clock=lambda: now, say=said.append, stop=Event()).run(until_caught_up=True)
    return said


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("prepared"), RENTREE, establishments=1)


@pytest.fixture(scope="module")
def complete(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with its whole history, written without a stop, and what was said meanwhile."""
    folder = copy(prepared, tmp_path_factory.mktemp("complete"))
    return folder, catch_up(folder, RENTREE)


def copy(folder: Path, to: Path) -> Path:
    return shutil.copytree(folder, to, dirs_exist_ok=True)


def test_the_same_seed_writes_the_same_bytes_and_another_one_others(tmp_path: Path):
    first, second, other = (
        contents(prepare(tmp_path / name, RENTREE, seed=seed, establishments=1))
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert first == second
    assert {name for name in first if first[name] != other[name]} >= {f"{UAI}/journal-2026-09-01.ndjson"}


def test_the_territory_is_complete_and_says_that_it_is_fictitious(tmp_path: Path):
    prepare(tmp_path, SUMMER)
    text = (tmp_path / "territory.toml").read_text("utf-8")
    territory = tomllib.loads(text)
    assert "fictif" in text.splitlines()[0]
    assert len(territory["establishment"]) == len(ESTABLISHMENTS)
    for establishment in territory["establishment"]:
        assert establishment["name"].endswith("(fictif)")
        assert parse_uai(establishment["uai"]) not in REAL_EXAMPLES
        assert establishment["type"] in LEVELS
        assert all(code.startswith(("86", "974")) and len(code) == 5 for code in establishment["postal_codes"])
        agent = tomllib.loads((tmp_path / establishment["uai"] / "agent.toml").read_text("utf-8"))
        assert sorted((tmp_path / establishment["uai"]).glob(agent["journal"]))
    assert {e["convention"] for e in territory["establishment"]} == {"consent", "joint"}


def test_eight_weeks_are_there_without_a_gap_and_nothing_of_the_future(tmp_path: Path):
    prepare(tmp_path, NOVEMBER, establishments=1)
    read = dated_facts(tmp_path / UAI)
    assert read[0]["at"] == "2026-09-28T00:00:00+02:00"
    assert NOVEMBER - timedelta(minutes=5) < instant(read[-1]) <= NOVEMBER
    beats = heartbeats(tmp_path / UAI)
    assert beats[-1] == NOVEMBER.replace(minute=0, second=0)
    assert max(after - before for before, after in pairwise(beats)) == timedelta(hours=1)


def test_the_first_file_begins_with_the_previous_school_year_and_resembles_no_other(tmp_path: Path):
    prepare(tmp_path, RENTREE, establishments=1)
    first, second = journal_files(tmp_path / UAI)[:2]
    assert first.name == OPENING
    (line,) = facts(first)
    assert (line["at"], line["kind"]) == ("2025-09-01T00:00:00+02:00", "heartbeat")
    assert not second.read_bytes().startswith(first.read_bytes())


def test_a_folder_prepared_before_is_continued_and_never_rewritten(tmp_path: Path):
    prepare(tmp_path, RENTREE, establishments=1)
    before = contents(tmp_path)
    prepare(tmp_path, RENTREE, seed=999, establishments=7)
    assert contents(tmp_path) == before
    prepare(tmp_path, RENTREE - timedelta(days=3))
    assert contents(tmp_path) == before
    prepare(tmp_path, RENTREE + timedelta(days=25))
    after = contents(tmp_path)
    grown = {name for name in set(after) - set(before) if "/census/2026-09-15/" not in name}
    assert grown == {f"{UAI}/journal-2026-10-01.ndjson"}
    assert all(after[name].startswith(text) for name, text in before.items())


def test_going_on_in_steps_ends_at_the_same_bytes_as_in_one_go(tmp_path: Path):
    for name in ("steps", "once"):
        prepare(tmp_path / name, RENTREE, establishments=1)
    for hours in (1, 2, 5, 13, 13.0001, 14, 30, 31, 200):
        prepare(tmp_path / "steps", RENTREE + timedelta(hours=hours))
    prepare(tmp_path / "once", RENTREE + timedelta(hours=200))
    assert contents(tmp_path / "steps") == contents(tmp_path / "once")


@pytest.mark.parametrize("torn", [b"", b"{", b'{"at":"2026-09-10T10:15:31+02:00","kind":"conn'])
def test_a_torn_last_line_is_cut_off_before_going_on(tmp_path: Path, torn: bytes):
    for name in ("torn", "whole"):
        prepare(tmp_path / name, RENTREE, establishments=1)
    with (tmp_path / "torn" / UAI / "journal-2026-09-01.ndjson").open("ab") as file:
        file.write(torn)
    for name in ("torn", "whole"):
        prepare(tmp_path / name, RENTREE + timedelta(hours=3))
    assert contents(tmp_path / "torn") == contents(tmp_path / "whole")


def test_lines_lost_with_the_disk_are_written_again(tmp_path: Path):
    prepare(tmp_path, RENTREE, establishments=1)
    whole = contents(tmp_path)
    newest = tmp_path / UAI / "journal-2026-09-01.ndjson"
    for kept in (newest.stat().st_size - 700, 100_000, 30, 0):
        os.truncate(newest, kept)
        prepare(tmp_path, RENTREE)
        assert contents(tmp_path) == whole


def test_repair_leaves_whole_lines_alone(tmp_path: Path):
    path = tmp_path / "journal"
    for torn, whole in ((b"a\nb", b"a\n"), (b"a\nb\n", b"a\nb\n"), (b"torn", b""), (b"", b"")):
        path.write_bytes(torn)
        repair(path)
        assert path.read_bytes() == whole


def test_history_streams_in_back_to_the_previous_rentree(prepared: Path, complete: tuple[Path, list[str]]):
    folder, said = complete
    assert said == ["Historique 2025-2026 : établissement 1/1", "Historique complet"]
    after = contents(folder)
    assert all(after[name] == text for name, text in contents(prepared).items())
    beats = heartbeats(folder / UAI)
    assert beats[0].isoformat() == "2025-09-01T00:00:00+02:00"
    assert max(after - before for before, after in pairwise(beats)) == timedelta(hours=1)
    assert beats == sorted(beats)
    assert catch_up(folder, RENTREE) == ["Historique complet"]
    assert contents(folder) == after


def test_each_history_file_is_observed_whole_by_itself(complete: tuple[Path, list[str]]):
    read = facts(complete[0] / UAI / "journal-2025-09-01.ndjson.gz", holding='"heartbeat"')
    first, last = instant(read[0]), instant(read[-1])
    assert (read[0]["at"], read[-1]["at"][10:]) == ("2025-09-01T00:00:00+02:00", "T23:59:59+02:00")
    days = (last - first + timedelta(seconds=1)) / timedelta(days=1)
    assert len(read) == days * 24 + days


def live(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "deploy.local.simulation", "live", "--now", RENTREE.isoformat()]
    return subprocess.Popen([*command, "--folder", str(folder)], stdout=subprocess.PIPE, text=True)


def test_killed_in_mid_history_it_ends_at_the_same_bytes(
    prepared: Path, complete: tuple[Path, list[str]], tmp_path: Path
):
    copy(prepared, tmp_path)
    with live(tmp_path) as process:
        assert process.stdout is not None
        while not list(tmp_path.glob(f"{UAI}/.journal-*.gz")):
            assert process.poll() is None
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert contents(tmp_path).keys() != contents(complete[0]).keys()
    catch_up(tmp_path, RENTREE)
    assert contents(tmp_path) == contents(complete[0])


def test_a_line_appears_at_the_second_it_happens(complete: tuple[Path, list[str]], tmp_path: Path):
    copy(complete[0], tmp_path)
    journal = tmp_path / UAI / "journal-2026-09-01.ndjson"
    before = len(facts(journal))
    said = follow(tmp_path, RENTREE, *[timedelta(seconds=1)] * 180)
    assert said[-1].startswith("Trafic en direct")
    added = facts(journal)[before:]
    assert added
    assert all(RENTREE < instant(fact) <= RENTREE + timedelta(seconds=180) for fact in added)
    follow(tmp_path, RENTREE + timedelta(seconds=180), timedelta(days=2))
    assert instant(facts(journal)[-1]) > RENTREE + timedelta(days=1, hours=23)


def test_live_stops_cleanly_when_asked(complete: tuple[Path, list[str]], tmp_path: Path):
    copy(complete[0], tmp_path)
    with live(tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "Historique complet\n"
        assert process.stdout.readline().startswith("Trafic en direct")
        process.terminate()
        assert process.wait(15) == 0


def test_one_folder_has_one_writer(tmp_path: Path):
    prepare(tmp_path, SUMMER, establishments=1)
    with held(tmp_path), pytest.raises(FolderInUseError, match="stop it first"):
        prepare(tmp_path, RENTREE)


def test_a_folder_that_was_not_prepared_is_refused_in_one_sentence(tmp_path: Path):
    with pytest.raises(NotPreparedError):
        catch_up(tmp_path, RENTREE)
    result = CliRunner().invoke(main, ["live", "--folder", str(tmp_path)])
    assert result.exit_code == 1
    assert "prepare it first" in result.output


def test_prepare_as_a_command_shows_progress_and_refuses_a_naive_now(tmp_path: Path):
    runner = CliRunner()
    refused = runner.invoke(main, ["prepare", "--folder", str(tmp_path / "naive"), "--now", "2026-09-10T10:15:30"])
    assert refused.exit_code == 2
    assert "needs an offset" in refused.output
    shown: list[tuple[int, int]] = []
    prepare(tmp_path / "shown", SUMMER, establishments=2, progress=lambda done, total: shown.append((done, total)))
    assert shown == [(1, 2), (2, 2)]
