"""Files followed wherever they go: any cut into appends, renames, copies, archives and restarts counts every line once."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.collector.config import SourcesSettings
from services.collector.local_calendar import Period
from tests.services.collector.school import School, activity, connection, heartbeat

AT = "2026-11-19T08:12:31+01:00"
DAY = "2026-11-19"


def _web(school: School) -> int:
    return sum(school.counts("web", "day", DAY).values())


def test_a_last_line_without_newline_waits_except_until_idle(school: School) -> None:
    school.write(connection(AT), connection(AT), end="")
    assert _web(school.read(to_the_end=False)) == 1
    school.restart()
    assert _web(school.read(to_the_end=True)) == 2
    school.write("", connection(AT))
    assert _web(school.read(to_the_end=False)) == 3
    assert school.set_aside() == {}


@pytest.mark.parametrize("long", [False, True])
def test_renamed_copied_gzipped_and_grown_files_are_read_on(school: School, long: bool) -> None:
    many = 60 if long else 1
    path = school.write(*[connection(AT)] * many)
    school.read()
    shutil.copy(path, school.folder / "journal.copy")
    path.rename(school.folder / "journal.1")
    school.restart()
    assert _web(school.read()) == many
    school.write(connection(AT), name="journal.1")
    assert _web(school.read()) == many + 1
    with gzip.open(school.folder / "journal.2.gz", "wb") as archive:
        archive.write((school.folder / "journal.1").read_bytes() + connection(AT, "u2").encode() + b"\n")
    (school.folder / "journal.1").unlink()
    assert _web(school.read()) == many + 2
    school.restart()
    assert _web(school.read()) == many + 2


def test_a_file_truncated_and_begun_again_is_another_file(school: School) -> None:
    path = school.write(connection(AT, "u1"), connection(AT, "u2"))
    school.read()
    path.write_text(connection(AT, "u3") + "\n")
    assert _web(school.read()) == 3
    school.write(connection(AT, "u4"))
    assert _web(school.read()) == 4


def test_copy_and_truncate_rotation(school: School) -> None:
    path = school.write(connection(AT, "u1"))
    school.read()
    school.write(connection(AT, "u2"))
    shutil.copy(path, school.folder / "journal.1")
    path.write_text("")
    assert _web(school.read()) == 2
    school.write(connection(AT, "u3"))
    assert _web(school.read()) == 3


def test_a_shorter_copy_of_a_known_file_adds_nothing(school: School) -> None:
    path = school.write(connection(AT, "u1"), connection(AT, "u2"))
    school.read()
    path.write_text(connection(AT, "u1") + "\n" + connection(AT, "u2") + "\n" + connection(AT, "u3") + "\n")
    shutil.copy(path, school.folder / "journal.copy")
    assert _web(school.read()) == 3


def test_a_copy_made_before_the_first_dated_line_adds_nothing(school: School) -> None:
    path = school.write("rubbish", connection(AT)[:9], end="")
    shutil.copy(path, school.folder / "journal.copy")
    school.write(connection(AT)[9:], connection(AT, "u2"))
    assert _web(school.read()) == 2
    assert school.set_aside() == {"unreadable": 1}


def test_original_and_copies_found_together_count_once(school: School) -> None:
    text = "".join(connection(AT, f"u{n}") + "\n" for n in range(100))
    (school.folder / "journal.ndjson").write_text(text + connection(AT) + "\n")
    (school.folder / "journal.1").write_text(text)
    (school.folder / "journal.2.gz").write_bytes(gzip.compress(text.encode()))
    assert _web(school.read()) == 101


def test_archives_of_several_members_and_padding(school: School) -> None:
    members = gzip.compress((connection(AT) + "\n").encode()) + gzip.compress((connection(AT) + "\n").encode())
    (school.folder / "journal.gz").write_bytes(members + b"\0" * 512)
    assert _web(school.read()) == 2
    assert school.service.source.problems == []


def test_a_broken_archive_is_not_observed_and_what_it_gives_is_counted(school: School) -> None:
    text = "".join(connection(AT, f"{random.Random(n).random()}") + "\n" for n in range(3000))
    whole = gzip.compress(text.encode())
    path = school.folder / "journal.gz"
    path.write_bytes(whole[: len(whole) // 2])
    school.read()
    assert 0 < _web(school) < 3000
    assert "cut short" in school.service.source.problems[0]
    assert school.minutes("2026-11-20") == {}
    path.write_bytes(whole)
    assert _web(school.read()) == 3000
    assert school.minutes("2026-11-20")[5] == 60


def test_where_an_archive_breaks_nothing_of_it_is_counted_twice(school: School) -> None:
    """Beside a file whose last line, without newline, is taken at the end."""
    whole = gzip.compress("".join(connection(AT, f"{random.Random(n).random()}") + "\n" for n in range(3000)).encode())
    (school.folder / "journal.gz").write_bytes(whole[: len(whole) // 2])
    counted = _web(school.read())
    school.write(connection(AT, "u2"), end="")
    school.restart()
    assert _web(school.read()) == counted + 1


def test_a_line_that_never_ends_takes_no_memory_and_is_left(school: School, monkeypatch) -> None:
    monkeypatch.setattr("services.collector.files.LONGEST_GARBAGE", 4_000_000)
    with gzip.open(school.folder / "journal.gz", "wb") as bomb:
        bomb.write((connection(AT) + "\n").encode() + b"0" * 5_000_000)
    school.write(connection(AT, "u2"))
    assert _web(school.read()) == 2
    assert "without a newline" in school.service.source.problems[0]


def test_a_long_line_counts_once_as_unreadable(school: School) -> None:
    school.write(connection(AT), "x" * 1_000_000, connection(AT), "y" * 70_000)
    assert _web(school.read()) == 2
    assert school.set_aside() == {"unreadable": 2}


def test_paths_lists_and_folders_above(make_school, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "all.ndjson").write_text(connection(AT) + "\n")
    sources = SourcesSettings(journal=("../shared/all.ndjson", "logs/**/*.log", "../shared/*"))
    one, other = make_school(sources=sources), make_school(sources=sources)
    (one.folder / "logs" / "deep").mkdir(parents=True)
    one.write(connection(AT, "u2"), name="logs/deep/x.log")
    assert _web(one.read()) == 2
    assert _web(other.read()) == 1
    assert other.service.source.problems == ["logs/**/*.log: no such file"]


def test_a_folder_named_as_a_file_is_told(make_school) -> None:
    school = make_school(sources=SourcesSettings(journal=(".", "journal.ndjson")))
    school.write(connection(AT))
    assert _web(school.read()) == 1
    assert "directory" in school.service.source.problems[0].lower()


def test_files_are_read_oldest_first_whatever_their_names_and_dates(school: School) -> None:
    """Read in the other order, the older people would find their day closed."""
    school.write(connection("2026-11-19T08:00:00+01:00", "new"), name="journal.a")
    school.write(connection("2026-10-01T08:00:00+02:00", "old"), name="journal.b")
    os.utime(school.folder / "journal.a", (1, 1))
    school.read()
    assert school.counts("people", "day", "2026-10-01")["eleve.web.any"] == 1


def test_front_servers_are_read_abreast(school: School) -> None:
    """Each file alone runs over weeks; read one after the other, the second would find its sets closed."""
    days = [f"2026-{month}-{day:02}" for month in (10, 11) for day in range(1, 20)]
    for server in ("a", "b"):
        school.write(*(connection(f"{day}T08:00:00+01:00", f"{server}{day}") for day in days), name=f"journal.{server}")
    school.read()
    assert [school.counts("people", "day", day)["eleve.web.any"] for day in days] == [2] * len(days)


def _traffic(rng: random.Random, length: int) -> list[str]:
    """Lines in order of time but for some late ones, over a few days; equal lines happen. Heartbeats, if any, come in order."""
    beating, at = rng.random() < 0.5, 0
    lines = [heartbeat(_instant(0))] if beating else []
    for _ in range(length):
        at += rng.choice((0, 40, 400, 4000))
        instant = _instant(max(0, at - rng.choice((0, 0, 0, 3600, 100_000))))
        who, channel = f"u{rng.randrange(6)}", rng.choice(("web", "mobile"))
        kinds = (
            connection(instant, who, rng.choice(("eleve", "accompagnant", "enseignant")), channel),
            connection(instant, who, access="ent"),
            activity(instant, "forums", n=rng.randrange(1, 5)),
            activity(instant, "lateness"),
            "rubbish",
            "",
            heartbeat(_instant(at)) if beating else connection(instant),
        )
        lines.append(rng.choice(kinds))
    return lines


def _instant(seconds: int) -> str:
    return (datetime(2026, 11, 10, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()


def _feed(school: School, text: bytes, rng: random.Random) -> None:
    """Write the text in pieces cut anywhere, between which files are renamed, copied, gzipped and the agent restarted."""
    path, place = school.folder / "journal.0", 0
    while place < len(text):
        piece = text[place : place + rng.randrange(1, max(2, len(text) // 3))]
        with path.open("ab") as file:
            file.write(piece)
        place += len(piece)
        if rng.random() < 0.7:
            school.read(to_the_end=False, budget=rng.choice((1, 500, 2**40)))
        if rng.random() < 0.3:
            school.restart()
        if rng.random() < 0.3 and b"\n" in text[:place]:  # less than a line is nothing to be known by
            shutil.copy(path, school.folder / f"journal.copy-{rng.randrange(3)}")
        if rng.random() < 0.3:
            path = path.rename(school.folder / f"journal.moved-{rng.randrange(1000)}")
        if rng.random() < 0.3:
            school.acknowledge()
    with gzip.open(school.folder / "journal.last.gz", "wb") as archive:
        archive.write(path.read_bytes())
    if rng.random() < 0.5:
        path.unlink()


def _everything(school: School) -> dict[Period, dict[int, int]]:
    """All that was counted, published or not."""
    return {period: school.store.cells_of(1, period) for period in school.store.periods(1)}


@given(st.integers(0, 2**32), st.integers(1, 60))
@example(1219, 38)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_cut_gives_the_same_reports(seed: int, length: int) -> None:
    rng = random.Random(seed)
    lines = _traffic(rng, length)
    text = ("\n".join(lines) + "\n").encode()
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = School(Path(folder) / "whole"), School(Path(folder) / "cut")
        whole.write(*lines)
        _feed(cut, text, rng)
        assert _everything(cut.read()) == _everything(whole.read())
        for school in (whole, cut):
            school.store.close()


@given(st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_cells_only_grow(seed: int) -> None:
    rng = random.Random(seed)
    lines = _traffic(rng, 40)
    with tempfile.TemporaryDirectory() as folder:
        school = School(Path(folder))
        before: dict[Period, dict[int, int]] = {}
        while lines:
            school.write(*[lines.pop(0) for _ in range(min(len(lines), rng.randrange(1, 9)))])
            school.read()
            after = _everything(school)
            for period, cells in before.items():
                assert all(after[period].get(code, 0) >= count for code, count in cells.items())
            before = after
        school.store.close()


def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(make_school) -> None:
    """Opening one would wait for whoever writes to it, for ever."""
    school = make_school(sources=SourcesSettings(journal=("pipe", "pipe.gz", "journal.ndjson")))
    os.mkfifo(school.folder / "pipe")
    os.mkfifo(school.folder / "pipe.gz")
    school.write(connection("2026-11-19T08:00:00+01:00"))
    school.service.turn(school.now, budget=2**40, to_the_end=True)
    assert school.counts("web", "day", "2026-11-19") == {"eleve.web.direct": 1}
    assert school.service.source.problems == [
        f"{school.folder / name}: not a regular file" for name in ("pipe", "pipe.gz")
    ]
