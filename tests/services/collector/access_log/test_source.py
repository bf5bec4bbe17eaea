"""The access log as an agent's source: whatever it is read in, the reports are those that an independent count finds."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from services.collector.access_log.source import AccessLogSource
from services.collector.check import _check_one
from services.collector.clock import AgentClock
from services.collector.config import AgentSettings, EstablishmentSettings, SourcesSettings, with_neighbours
from services.collector.restating import recount
from services.collector.service import EstablishmentService
from services.collector.sources import families_of
from services.collector.store import Store
from tests.services.collector.school import UAI, School, connection, name
from tests.support.access_log_count import count
from tests.support.access_logs import IIS_HEADER as HEADER
from tests.support.access_logs import Hit, Site, combined, host_first, iis, nginx_json, opening, page, traffic, write
from tests.support.access_logs import call as later_call

PARIS = ZoneInfo("Europe/Paris")
HOST = f"{UAI.lower()}.index-education.net"
SITE = Site(UAI, HOST)
LOG = SourcesSettings(access_log="access*", host_first=True)
START = datetime(2026, 10, 24, 6, tzinfo=UTC)


def session(at: datetime, espace: int = 3, number: int = 77, **rest: Any) -> list[Hit]:
    """A connection: an opening and three other orders, one a second."""
    calls = [later_call(at + timedelta(seconds=n), espace, number, f"{n:032x}") for n in (1, 2, 3)]
    return [replace(hit, **{"host": HOST, **rest}) for hit in (opening(at, espace, number), *calls)]


def over(at: datetime) -> Hit:
    return page(at, host=HOST)


def made(seed: int, *, days: int = 3, visits: int = 80) -> tuple[list[Hit], Counter[tuple[str, str]], Counter[str]]:
    """Requests, connections by day and cell name, named counters, as the plain second count finds them."""
    hits, _ = traffic(seed, [SITE], START, START + timedelta(days=days), visits=visits)
    found, reasons = count([hit for hit in hits if hit.host == HOST])
    return hits, _summed(found), reasons


def _summed(found: Counter[tuple[datetime, str, str, str]]) -> Counter[tuple[str, str]]:
    total: Counter[tuple[str, str]] = Counter()
    for (at, *names), n in found.items():
        if names[0] != "accompagnant":
            total[at.astimezone(PARIS).date().isoformat(), ".".join(names)] += n
    return total


def days(school: School) -> Counter[tuple[str, str]]:
    """Connections that leave by day."""
    return Counter(
        {
            (start, name(code)): n
            for (family, grain, start), (cells, _) in school.states().items()
            if (family, grain) == ("web", "day")
            for code, n in cells.items()
        }
    )


@pytest.fixture
def school(make_school: Callable[..., School]) -> School:
    return make_school(sources=LOG)


def test_whole(school: School) -> None:
    hits, expected, reasons = made(1)
    write(school.folder / "access.log", [host_first(hit) for hit in hits])
    school.read()
    assert days(school) == expected
    aside = {reason: n for reason, n in school.service.access_log.set_aside.items() if reason != "other_host"}
    assert aside == dict(reasons)
    assert sum(
        n for key, (cells, _) in school.states().items() if key[:2] == ("web", "hour") for n in cells.values()
    ) == (sum(expected.values()))
    assert not [key for key in school.reports() if key[0] in {"people", "software", "observed.journal"}]


@pytest.mark.parametrize("seed", range(6))
def test_read_in_pieces_restarted_and_rotated_it_says_the_same(make_school: Callable[..., School], seed: int) -> None:
    hits, expected, _ = made(seed)
    draw = random.Random(seed)
    lines = [host_first(hit) + b"\n" for hit in hits]
    school = make_school(sources=LOG)
    current = school.folder / "access.log"
    written = 0
    for rotated in range(8):
        upto = len(lines) if rotated == 7 else draw.randrange(written, len(lines) + 1)
        piece = b"".join(lines[written:upto])
        cut = draw.randrange(len(piece) + 1)  # in the middle of a line, most often
        for part in (piece[:cut], piece[cut:]):
            with current.open("ab") as file:
                file.write(part)
            school.read(to_the_end=False, budget=draw.choice([1, 4096, 2**40]))
            if draw.random() < 0.5:
                school.restart()
        written = upto
        if draw.random() < 0.5 and current.exists() and current.stat().st_size:
            older = school.folder / f"access.{rotated}.log"
            current.rename(older)
            if draw.random() < 0.5:
                (school.folder / f"access.{rotated}.log.gz").write_bytes(gzip.compress(older.read_bytes()))
                older.unlink()
    school.read(to_the_end=True)
    assert days(school) == expected


@pytest.mark.parametrize("budget", [1, 2**40])
def test_the_fronts_of_a_farm_are_read_as_one(make_school: Callable[..., School], budget: int) -> None:
    """Each request on any of three fronts, each of which writes as it likes: sessions whose calls lie in several files are whole."""
    hits, expected, _ = made(9)
    draw = random.Random(9)
    school = make_school(sources=LOG)
    forms = (host_first, nginx_json, iis)
    fronts: list[list[bytes]] = [[], [], [*HEADER]]
    for hit in hits:
        front = draw.randrange(3)
        fronts[front].append(forms[front](hit))
    for number, lines in enumerate(fronts):
        write(school.folder / f"access-{number}.log{'.gz' if number == 1 else ''}", lines)
    school.read(budget=budget)
    assert days(school) == expected


@pytest.mark.parametrize("form", [combined, nginx_json, iis])
def test_every_format(make_school: Callable[..., School], form: Callable[[Hit], bytes]) -> None:
    hits, expected, _ = made(3)
    mine = [hit for hit in hits if hit.host == HOST]
    school = make_school(sources=SourcesSettings(access_log="access.log"))
    write(school.folder / "access.log", [*(HEADER if form is iis else ()), *map(form, mine)])
    school.read(budget=20_000)
    assert days(school) == expected


def test_bytes_of_any_encoding_are_no_obstacle(school: School) -> None:
    hits = [*session(START, agent="Zoé"), over(START + timedelta(hours=3))]
    lines = [host_first(hit).decode().encode("latin-1") for hit in hits]
    write(school.folder / "access.log", lines)
    assert days(school.read()) == {("2026-10-24", "eleve.web.unknown"): 1}


# --- what is open when reading stops


def test_a_session_goes_on_after_a_restart(school: School) -> None:
    lines = [host_first(hit) for hit in session(START)]
    write(school.folder / "access.log", lines[:2])
    school.read()
    school.restart()
    with (school.folder / "access.log").open("ab") as file:
        file.write(b"\n".join([*lines[2:], b""]))
    assert days(school.read()) == {("2026-10-24", "eleve.web.unknown"): 1}


def test_the_buffer_is_emptied_after_a_minute_at_the_end(school: School) -> None:
    write(school.folder / "access.log", [host_first(hit) for hit in session(START)])
    clock = [0.0]
    school.service.access_log = AccessLogSource(
        school.service.settings, school.service.number, school.store, timer=lambda: clock[0]
    )
    for seconds, counted in ((0.0, 0), (59.0, 0), (60.0, 1)):
        clock[0] = seconds
        school.read(to_the_end=False)
        assert sum(days(school).values()) == counted


def test_what_a_failed_commit_had_understood_is_understood_again(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        school.folder / "access.log", [host_first(hit) for hit in [*session(START), over(START + timedelta(hours=3))]]
    )

    def fail(establishment: int, state: bytes) -> None:
        raise OSError(establishment, len(state))

    with monkeypatch.context() as patched:
        patched.setattr(school.store.open_sessions, "save", fail)
        with pytest.raises(OSError, match="1"):
            school.read()
    assert school.reports() == {}
    assert days(school.read()) == {("2026-10-24", "eleve.web.unknown"): 1}


# --- whose connections count


def test_a_journal_in_charge_leaves_those_of_the_log_to_diagnostics(make_school: Callable[..., School]) -> None:
    school = make_school(sources=replace_sources(journal="journal*"))
    school.write(connection("2026-10-24T08:00:00+02:00"))
    write(school.folder / "access.log", [host_first(hit) for hit in session(START)])
    school.read()
    assert days(school) == {("2026-10-24", "eleve.web.direct"): 1}
    assert school.counts("diagnostics", "day", "2026-11-20") == {"connection_of_the_other_source": 1}
    assert not [key for key in school.reports() if key[0] == "observed.access-log"]


def test_a_log_in_charge_leaves_people_and_the_client_to_the_journal(make_school: Callable[..., School]) -> None:
    school = make_school(sources=replace_sources(journal="journal*", connections_from="access-log"))
    school.write(
        connection("2026-10-24T08:00:00+02:00"), connection("2026-10-24T08:00:00+02:00", "t", "enseignant", "software")
    )
    write(school.folder / "access.log", [host_first(hit) for hit in session(START)])
    school.read()
    assert days(school) == {("2026-10-24", "eleve.web.unknown"): 1}
    assert set(school.counts("people", "day", "2026-10-24")) == {"enseignant.software.any"}
    assert school.counts("diagnostics", "day", "2026-11-20") == {"connection_of_the_other_source": 1}


def replace_sources(**changes: str) -> SourcesSettings:
    return SourcesSettings(access_log="access*", host_first=True, **changes)  # type: ignore[arg-type]


def test_small_profiles_wait_for_the_end_of_the_month(school: School) -> None:
    hits = [*session(datetime(2026, 9, 7, 8, tzinfo=UTC), 25), *session(datetime(2026, 11, 16, 8, tzinfo=UTC), 25)]
    write(school.folder / "access.log", [host_first(hit) for hit in hits])
    school.read()
    assert days(school) == {}
    assert school.counts("web", "month", "2026-09-01") == {"accompagnant.web.unknown": 1}
    assert school.counts("web", "month", "2026-11-01") == {}


def test_too_old_and_cut(school: School) -> None:
    hits = [
        *session(datetime(2025, 8, 31, 8, tzinfo=UTC)),
        *session(START.replace(hour=12)),
        over(START.replace(hour=20)),
    ]
    write(school.folder / "access.log", [host_first(hit) for hit in hits])
    school.read()
    assert days(school) == {("2026-10-24", "eleve.web.unknown"): 1}
    assert school.counts("diagnostics", "day", "2026-11-20")["too_old"] == 1


def test_the_two_hours_of_the_long_night(school: School) -> None:
    night = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    hits = [*session(night), *session(night + timedelta(hours=1), number=78)]
    write(school.folder / "access.log", [host_first(hit) for hit in hits])
    school.read()
    for hour in ("2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"):
        assert school.counts("web", "hour", hour) == {"families.web": 1}
    assert days(school) == {("2026-10-25", "eleve.web.unknown"): 2}


def test_observed_from_its_first_line_of_pronote_to_its_end(school: School) -> None:
    at = datetime(2026, 11, 20, 9, 12, tzinfo=UTC)
    strange = [replace(hit, host="pronote.ailleurs.example") for hit in session(at - timedelta(days=3))]
    write(school.folder / "access.log", [host_first(hit) for hit in [*strange, over(at), *session(at)]])
    school.read()
    observed = school.counts("observed.access-log", "day", "2026-11-20")
    assert {int(hour): n for hour, n in observed.items()} == {10: 48, 11: 60, 12: 60}
    assert not [key for key in school.reports() if key[0] == "observed.access-log" and key[2] < "2026-11-20"]
    assert school.reports()["web", "day", "2026-11-20"].cut


# --- hosts


def shared(folder: Path, **sources: SourcesSettings) -> list[EstablishmentService]:
    store = Store(":memory:")
    every = tuple(
        EstablishmentSettings(uai, PARIS, "college", _made(folder / uai), settings) for uai, settings in sources.items()
    )
    return [EstablishmentService(each, store) for each in with_neighbours(every)]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_two_establishments_of_one_log_count_their_own_hosts(tmp_path: Path) -> None:
    other = "0750663N"
    log = SourcesSettings(
        access_log="../access.log", hosts={"b.example": other, "c.example": "0750001U"}, host_first=True
    )
    hits = [*session(START), *session(START, host="b.example"), *session(START, 1, host="b.example")]
    hits += [*session(START, host="c.example"), *session(START, host="unknown.example")]
    write(tmp_path / "access.log", [host_first(hit) for hit in sorted(hits, key=lambda hit: hit.at)])
    found = []
    for service in shared(tmp_path, **{UAI: log, other: log}):
        service.turn(datetime(2026, 11, 20, tzinfo=UTC), budget=2**40, to_the_end=True)
        reports = [
            report
            for message, _ in service.messages("a", datetime(2026, 11, 20, tzinfo=UTC))
            for report in message.reports
        ]
        found.append(sum(sum(each.counts) for each in reports if (each.family, each.grain) == ("web", "day")))
        assert service.access_log.set_aside == {"other_host": 2}
    assert found == [1, 2]


def test_families() -> None:
    assert families_of({"access_log": "a"}) == ["web", "observed.access-log", "diagnostics"]
    both = families_of({"access_log": "a", "journal": "j", "connections_from": "access-log"})
    assert {"web", "software", "people", "observed.journal", "observed.access-log"} <= set(both)
    assert "observed.access-log" not in families_of({"access_log": "a", "journal": "j"})


def test_check_tells_what_a_log_would_count(school: School) -> None:
    hits, expected, reasons = made(4)
    write(school.folder / "access.log", [host_first(hit) for hit in hits])
    settings = AgentSettings("a", school.folder, school.folder, 1.0, "", (school.service.settings,))
    told = _check_one(settings, school.service.settings)
    assert told["set_aside"]["script"] == reasons["script"]
    assert told["counts"]["web"] >= sum(expected.values())
    assert date.fromisoformat(told["first"][:10]) == START.date()


def _states(school: School) -> dict[Any, Any]:
    return {key: state for key, state in school.states().items() if key[0] == "web"}


def test_restating_counts_the_log_again(school: School) -> None:
    hits, _, _ = made(5)
    write(school.folder / "access.log", [host_first(hit) for hit in hits])
    before = _states(school.read())
    school.acknowledge()
    recount(school.service.settings, school.store, START.date(), AgentClock(school.now))
    assert _states(school) == before
    assert {report.restatement > 0 for key, report in school.reports().items() if key[0] == "web"} == {True}


def test_lines_that_wait_are_counted_once_when_they_were_restated_meanwhile(school: School) -> None:
    """The last minute stands in the reorder buffer, not in any count."""
    hits, expected, _ = made(6)
    lines = [host_first(hit) for hit in hits]
    write(school.folder / "access.log", lines[: len(lines) // 2])
    school.service.turn(school.now, budget=2**40, to_the_end=False)
    recount(school.service.settings, school.store, START.date(), AgentClock(school.now))
    school.service.access_log.close()
    write(school.folder / "access.log", lines)
    school.read()
    counted = sum(sum(cells.values()) for (_, grain, _), (cells, _) in _states(school).items() if grain == "day")
    assert counted == sum(expected.values())


def test_a_rule_that_was_corrected_holds_for_what_was_counted_too(school: School) -> None:
    """Without an ENT a plain arrival is direct; whoever forgot to say so restates once it is said."""
    write(school.folder / "access.log", [host_first(hit) for hit in session(START)])
    school.read()
    assert list(school.counts("web", "day", START.date().isoformat())) == ["eleve.web.unknown"]
    corrected = replace(
        school.service.settings, sources=msgspec.structs.replace(school.service.settings.sources, cas=False)
    )
    recount(corrected, school.store, START.date(), AgentClock(school.now))
    assert school.counts("web", "day", START.date().isoformat()) == {"eleve.web.unknown": 0, "eleve.web.direct": 1}
