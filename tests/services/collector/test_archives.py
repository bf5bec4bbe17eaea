"""Archives as they are found: bombs, members, cut short, growing. What cannot be read is told, and stops nobody else."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from services.collector.config import SourcesSettings
from tests.services.collector.school import UAI, School
from tests.support.access_logs import Hit, call, combined, opening

LOG = SourcesSettings(access_log="access*")
START = datetime(2026, 11, 19, 8, tzinfo=UTC)
DAY = "2026-11-19"


def session(number: int, at: datetime = START) -> list[Hit]:
    calls = [call(at + timedelta(seconds=n), 3, number, f"{n:032x}") for n in (1, 2, 3)]
    return [opening(at, 3, number), *calls]


def text_of(*numbers: int, at: datetime = START) -> bytes:
    return b"".join(combined(hit) + b"\n" for number in numbers for hit in session(number, at))


def counted(school: School) -> int:
    return sum(school.counts("web", "day", DAY).values())


@pytest.fixture
def school(make_school: Callable[..., School]) -> School:
    return make_school(sources=LOG)


NOISE = b'192.0.2.9 - - [19/Nov/2026:09:00:00 +0100] "GET / HTTP/1.1" 200 5 "-" "-"\n'
BOMBS = {
    "nothing": lambda size: b"\0" * size,
    "blank lines": lambda size: b"\n" * size,
    "lines of other sites": lambda size: NOISE * (size // len(NOISE)),
    "a bomb in a bomb": lambda size: gzip.compress(gzip.compress(b"\0" * size)) * 20_000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_in_flat_memory_and_the_other_files_are_read(
    school: School, monkeypatch: pytest.MonkeyPatch, bomb: Callable[[int], bytes]
) -> None:
    monkeypatch.setattr("services.collector.files.EXPANDED_FREELY", 1_000_000)
    monkeypatch.setattr("services.collector.files.MOST_EXPANDED", 200)
    (school.folder / "access.1.gz").write_bytes(gzip.compress(text_of(1) + bomb(40_000_000)))
    (school.folder / "access.log").write_bytes(text_of(2, at=START + timedelta(hours=1)))
    tracemalloc.start()
    school.read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counted(school) == 2, "what came before the bomb showed, and all of the other file"
    (problem,) = school.service.problems
    assert problem.endswith("access.1.gz: the archive expands to over 200 times its size")
    assert school.counts("observed.access-log", "day", DAY) == {}
    assert peak < 20_000_000
    school.restart()
    assert counted(school.read()) == 2
    assert school.service.problems == [problem]


def test_an_archive_is_never_larger_than_what_a_site_may_write(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.collector.files.LARGEST_ARCHIVE", 300_000)
    (school.folder / "access.1.gz").write_bytes(gzip.compress(text_of(*range(2000))))
    school.read()
    assert 0 < counted(school) < 2000
    assert "expands to over" in school.service.problems[0]


def test_repetitive_logs_are_no_bombs(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    """Health checks twice a second for weeks, the most regular log that there is."""
    monkeypatch.setattr("services.collector.files.EXPANDED_FREELY", 1_000_000)
    checks = [Hit(START + timedelta(seconds=n // 2), "GET /health HTTP/1.1", agent="probe") for n in range(80_000)]
    (school.folder / "access.gz").write_bytes(gzip.compress(b"\n".join(map(combined, checks)) + b"\n" + text_of(1)))
    school.read()
    assert school.service.problems == []


def test_members_without_end_that_hold_nothing(school: School) -> None:
    (school.folder / "access.1.gz").write_bytes(gzip.compress(text_of(1)) + gzip.compress(b"") * 200_000)
    (school.folder / "access.log").write_bytes(text_of(2))
    assert counted(school.read()) == 2
    assert "empty members" in school.service.problems[0]


def test_members_one_after_the_other_are_one_log(school: School) -> None:
    """As `cat *.gz` and loggers that are started again make them; cut anywhere, in the middle of lines too."""
    text = text_of(1, 2, 3)
    cuts = [0, 100, 101, len(text) // 2, len(text)]
    members = [gzip.compress(text[start:end]) for start, end in pairwise(cuts)]
    (school.folder / "access.gz").write_bytes(gzip.compress(b"").join(members) + b"\0" * 1000)
    assert counted(school.read()) == 3
    assert school.service.problems == []


def test_an_archive_that_grows_is_read_on(school: School) -> None:
    """A logger that compresses as it writes: at any moment the last member is cut short, which is told while it lasts."""
    path = school.folder / "access.gz"
    compressor = zlib.compressobj(wbits=31)
    whole = b""
    for number in range(1, 6):
        whole += compressor.compress(text_of(number, at=START + timedelta(minutes=number)))
        whole += compressor.flush(zlib.Z_SYNC_FLUSH)
        path.write_bytes(whole)
        assert counted(school.read()) == number
        assert "cut short" in school.service.problems[0]
    path.write_bytes(whole + compressor.flush() + gzip.compress(text_of(9, at=START + timedelta(hours=1))))
    assert counted(school.read()) == 6
    assert school.service.problems == []


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_cut_short_it_gives_what_it_holds_and_is_read_on_once_whole(school: School, part: float) -> None:
    whole = gzip.compress(text_of(*range(300)))
    path = school.folder / "access.gz"
    path.write_bytes(whole[: int(len(whole) * part)])
    assert counted(school.read()) < 300
    assert "cut short" in school.service.problems[0]
    school.restart()
    path.write_bytes(whole)
    assert counted(school.read()) == 300


def test_compressed_after_it_was_renamed_it_is_the_same_log(school: School, tmp_path: Path) -> None:
    path = school.folder / "access.log"
    path.write_bytes(text_of(1))
    school.read()
    with path.open("ab") as file:
        file.write(text_of(2, at=START + timedelta(minutes=1)))
    (school.folder / "access.log.1.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.write_bytes(text_of(3, at=START + timedelta(minutes=2)))
    assert counted(school.read()) == 3
    assert UAI not in str(school.service.problems)
