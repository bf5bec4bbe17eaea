"""Logs of sites that are no PRONOTE, scans and attacks among them: nothing stops, and no connection is counted."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from services.collector.access_log import AccessLog, Establishment, SetAside
from services.collector.config import SourcesSettings
from tests.services.collector.access_log.reading import SECRET, UAI, access_log, at, connections, read
from tests.services.collector.school import School
from tests.support.access_logs import call, combined, opening, page

SAMPLES = Path(__file__).parents[3] / "data" / "other_sites"
FILES = sorted(SAMPLES.glob("*.log"))
IN_NO_FORMAT = {"apache": 4, "apache_vhosts": 1, "json": 3}
"""Lines that are no request in any format, though nothing else of their log can matter."""


def lines_of(file: Path) -> list[bytes]:
    return file.read_bytes().split(b"\n")


def everything() -> list[bytes]:
    return [line for file in FILES for line in lines_of(file)]


@pytest.mark.parametrize("told_first", [False, True])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_log_of_another_site_counts_nothing(file: Path, told_first: bool) -> None:
    assert len(lines_of(file)) > 6
    for places in ([Establishment(UAI)], [Establishment(UAI), Establishment("0750002V")]):
        facts = read(lines_of(file), AccessLog(places, SECRET, host_first=told_first))
        assert facts == [SetAside("unreadable")] * IN_NO_FORMAT.get(file.stem, 0)


def test_a_connection_among_them_is_counted_as_if_they_were_not_there() -> None:
    calls = [call(at(5 + n), 3, 7, f"{n:032x}") for n in range(1, 4)]
    visit = [combined(hit) for hit in (page(at(), query="ticket=ST-1"), opening(at(5), 3, 7), *calls)]
    noise = [line for line in everything() if b"2026:08:0" not in line]
    assert connections(read([each for line in visit for each in (*noise, line, *noise)])) == [
        (at(5), "eleve", "web", "ent")
    ]


@pytest.mark.parametrize("seed", range(20))
def test_rubbish_of_every_kind_is_at_most_unreadable(seed: int) -> None:
    """Bytes at random, and lines of other sites with bytes at random in them."""
    draw = random.Random(seed)
    rubbish = [draw.randbytes(draw.randrange(2000)) for _ in range(200)]
    for line in (
        line for line in everything() if b"appelfonction" not in line
    ):  # else it may be a call that is unreadable
        place = draw.randrange(len(line) + 1)
        rubbish.append(line[:place] + draw.randbytes(draw.randrange(5)).replace(b"\n", b"") + line[place:])
    assert set(read(rubbish, access_log(host_first=bool(seed % 2)))) == {SetAside("unreadable")}


@pytest.mark.parametrize("size", [8_000, 65_000, 1_000_000])
@pytest.mark.parametrize("path", [b"/%s", b"/?x=%s", b"/pronote/%s", b"/pronote/eleve.htm?%s", b"%s"])
def test_addresses_without_end_count_nothing(size: int, path: bytes) -> None:
    target = path % (b"A%2e/" * (size // 5))
    hits = [
        b'203.0.113.9 - - [20/Nov/2026:08:00:00 +0100] "%b %b HTTP/1.1" 414 0 "-" "-"' % (m, target)
        for m in (b"GET", b"POST")
    ]
    assert read(hits) == []


def test_an_agent_reads_them_all_and_says_only_what_it_could_not_read(make_school: Callable[..., School]) -> None:
    school = make_school(sources=SourcesSettings(access_log=f"{SAMPLES}/*.log"))
    school.read()
    assert school.service.access_log.lines > 60
    assert school.service.problems == []
    assert {report.family for report in school.reports().values()} == {"diagnostics"}
    assert school.service.access_log.set_aside == {"unreadable": sum(IN_NO_FORMAT.values())}
