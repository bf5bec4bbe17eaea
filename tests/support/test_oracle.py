"""The oracle itself, against numbers worked out by hand: who checks the checker."""

from __future__ import annotations

import ast
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from tests.support import oracle as package
from tests.support.oracle import Oracle
from tests.support.oracle.cells import Cell
from tests.support.oracle.days import hours_of, school_year, window_of
from tests.support.oracle.journal import SetAside, decode
from tests.support.territories import (
    Line,
    Place,
    TerritoryFolder,
    as_bytes,
    broken_lines,
    connection,
    heartbeat,
    uai,
    write_nasty,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 20, 14, 30, tzinfo=PARIS)
COLLEGE = uai(750001)


def at(day: int, hour: int = 10, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=PARIS)


def counted(path: Path, lines: Iterable[Line], now: datetime = NOW, **place: object) -> Oracle:
    folder = TerritoryFolder(path)
    folder.add(Place(COLLEGE, "Collège", **place))  # type: ignore[arg-type]
    folder.write(f"{COLLEGE}/journal.ndjson", list(lines))
    return Oracle(path, now)


def cell(
    oracle: Oracle, column: str, window: str, table: str = "connexions.authentifiees", display: str = "values"
) -> Cell:
    return oracle.table(table, window=window, display=display).rows[COLLEGE][column]


def test_it_shares_no_code_with_the_product():
    """One wrong idea in both would prove nothing: the standard library and itself are all it may import."""
    ours = {"contracts", "chassis", "services", "deploy", "territoriale"}
    for module in [
        *Path(package.__file__).parent.glob("*.py"),
        *Path(package.__file__).parents[1].glob("territor*.py"),
        Path(package.__file__).parents[1] / "census_exports.py",
    ]:
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & ours, module


def test_the_real_uai_of_the_reference_have_the_key_that_territories_compute():
    for real in ("0750654D", "0752524L", "0920131T", "6200002H", "9740979W", "9870026P"):
        assert uai(int(real[:7])) == real


def test_windows_of_an_ordinary_day():
    today = date(2026, 11, 20)
    named = {
        name: window_of(today, window=name)
        for name in ("last-day", "current-month", "last-month", "current-year", "last-year")
    }
    assert {name: (str(window.first), str(window.last)) for name, window in named.items()} == {
        "last-day": ("2026-11-19", "2026-11-19"),
        "current-month": ("2026-11-01", "2026-11-20"),
        "last-month": ("2026-10-01", "2026-10-31"),
        "current-year": ("2026-09-01", "2026-11-20"),
        "last-year": ("2025-09-01", "2026-08-31"),
    }
    assert [name for name, window in named.items() if not window.complete] == ["current-month", "current-year"]
    assert window_of(today, year="2026-2027").last == today
    assert window_of(today, year="2025-2026").complete


def test_the_first_of_september_opens_a_school_year():
    assert school_year(date(2026, 8, 31)).first == date(2025, 9, 1)
    assert window_of(date(2026, 9, 1), window="last-month").first == date(2026, 8, 1)
    assert window_of(date(2026, 9, 1), window="current-year").last == date(2026, 9, 1)


def test_days_have_23_to_25_hours_and_may_start_at_half_past():
    assert len(hours_of(date(2026, 3, 29), PARIS)) == 23
    assert len(hours_of(date(2026, 10, 25), PARIS)) == 25
    assert hours_of(date(2026, 3, 29), ZoneInfo("Pacific/Marquesas"))[0] == datetime(2026, 3, 29, 9, 30, tzinfo=UTC)


def values(oracle: Oracle, table: str, window: str) -> dict[str, int]:
    """Column → value of the only line, zeros left out."""
    cells = oracle.table(table, window=window).rows[COLLEGE]
    return {name: int(each.value) for name, each in cells.items() if each.value}


ADA_AND_BOB = [
    connection(at(1, 0), "ada"),
    connection(at(19, 8), "ada", channel="web", access="direct"),
    connection(at(19, 9), "ada", channel="mobile", access="direct"),
    connection(at(19, 9), "ada", channel="mobile", access="direct"),
    connection(at(19, 10), "bob", channel="web", access="ent"),
    connection(at(19, 11), "ada", "enseignant", "software", "direct"),
    connection(at(19, 12), "ada", "enseignant", "web", "ent"),
    connection(at(20, 1), "bob"),
]
"""Yesterday Ada the pupil comes three times by two channels, Bob once by the ENT, Ada the teacher by the client and by web."""


def test_connections_of_yesterday(tmp_path):
    oracle = counted(tmp_path, ADA_AND_BOB)
    assert values(oracle, "connexions.authentifiees", "last-day") == {
        "total.all": 6,
        "total.net": 5,
        "total.mobile": 2,
        "total.software": 1,
        "eleve.net": 4,
        "eleve.mobile": 2,
        "enseignant.all": 2,
        "enseignant.net": 1,
        "enseignant.software": 1,
    }
    assert cell(oracle, "eleve.mobile", "last-day", display="rates").value == Fraction(2, 4)
    assert cell(oracle, "total.software", "last-day", display="rates").value == Fraction(1, 6)
    assert cell(oracle, "enseignant.all", "last-day", display="rates").value == 2
    assert cell(oracle, "personnel.net", "last-day", display="rates") == Cell(None, "na")


def test_people_of_yesterday(tmp_path):
    oracle = counted(tmp_path, ADA_AND_BOB)
    assert values(oracle, "connexions.individus", "last-day") == {
        "total.all": 3,
        "total.net": 3,
        "total.mobile": 1,
        "total.software": 1,
        "eleve.net": 2,
        "eleve.mobile": 1,
        "enseignant.all": 1,
        "enseignant.net": 1,
        "enseignant.software": 1,
    }
    assert values(oracle, "connexions.individus-ent", "last-day") == {
        "total.net": 2,
        "eleve.net": 1,
        "enseignant.net": 1,
    }
    assert cell(oracle, "eleve.net", "last-day", "connexions.individus", "rates") == Cell(None, "nd")


def test_no_known_access_is_not_zero_by_the_ent(tmp_path):
    oracle = counted(tmp_path, [connection(at(1, 0), "ada"), connection(at(19), "ada", access="unknown")])
    assert cell(oracle, "eleve.net", "last-day", "connexions.individus-ent") == Cell(None, "nd")
    assert cell(oracle, "eleve.net", "current-month", "connexions.individus-ent") == Cell(Fraction(1))


def test_small_profiles_wait_for_the_end_of_the_month(tmp_path):
    """Two in September, one in October, four in November: only the seven weeks that are over may be seen."""
    lines = [connection(at(1, 0, month=9), "ann", "accompagnant")]
    lines += [connection(at(2, month=9), "ann", "accompagnant"), connection(at(3, month=10), "eve", "accompagnant")]
    lines += [
        connection(at(day), who, "accompagnant") for day, who in ((2, "ann"), (3, "zoe"), (19, "zoe"), (20, "kim"))
    ]
    oracle = counted(tmp_path, [*lines, connection(at(19), "bob")])
    assert cell(oracle, "accompagnant.net", "last-day").state == "s"
    assert cell(oracle, "accompagnant.net", "current-month").state == "s"
    assert cell(oracle, "accompagnant.net", "last-month") == Cell(Fraction(1))
    assert cell(oracle, "accompagnant.net", "current-year") == Cell(Fraction(3))
    assert cell(oracle, "accompagnant.net", "current-year", "connexions.individus") == Cell(Fraction(2))
    assert cell(oracle, "total.all", "last-day") == Cell(Fraction(1))
    assert cell(oracle, "total.all", "current-month") == Cell(Fraction(1))
    assert cell(oracle, "total.all", "current-year") == Cell(Fraction(4))
    assert oracle.daily()[date(2026, 11, 19)][0] == Cell(Fraction(1))


def test_in_an_ecole_adults_are_few(tmp_path):
    lines = [
        connection(at(1, 0), "a"),
        connection(at(19), "b", "enseignant"),
        connection(at(19), "c", "personnel"),
        connection(at(19), "d"),
    ]
    oracle = counted(tmp_path, lines, type="ecole")
    assert [cell(oracle, f"{profile}.net", "last-day").state for profile in ("enseignant", "personnel", "eleve")] == [
        "s",
        "s",
        None,
    ]
    assert cell(oracle, "total.all", "last-day").value == 1


def test_a_journal_without_heartbeats_is_observed_from_its_first_line(tmp_path):
    """First line on 19 November at 06:00: three quarters of yesterday, 30 of the hours of November that ended over 2 h ago."""
    oracle = counted(tmp_path, [connection(at(19, 6), "ada")])
    assert cell(oracle, "eleve.net", "last-day") == Cell(Fraction(1), "partial", 0.75)
    due = 19 * 24 + 12
    assert cell(oracle, "eleve.net", "current-month") == Cell(Fraction(1), "partial", (18 + 12) / due)
    assert cell(oracle, "eleve.net", "last-month") == Cell(None, "nd")


def test_after_the_first_heartbeat_only_close_heartbeats_observe(tmp_path):
    """Beats until 10:00 and from 13:00 on: three hours of yesterday are missing, facts inside them still count."""
    hours = [hour for hour in range(24) if not 10 < hour < 13]
    lines = [connection(at(1, 0), "ada"), connection(at(19, 11, 30), "ada")]
    lines += [heartbeat(at(19, hour)) for hour in hours] + [heartbeat(at(20, hour)) for hour in range(0, 14, 2)]
    assert cell(counted(tmp_path, lines), "eleve.net", "last-day") == Cell(Fraction(1), "partial", 21 / 24)


def test_a_day_without_an_observed_minute_is_not_available_even_with_facts(tmp_path):
    lines = [heartbeat(at(17, 8)), connection(at(19), "ada"), heartbeat(at(20, 8))]
    assert cell(counted(tmp_path, lines), "eleve.net", "last-day") == Cell(None, "nd")


def test_a_hundredth_of_a_month_may_be_missing(tmp_path):
    """October has 745 hours (the clocks change): 7 missing are forgiven, 8 are not."""
    whole = counted(tmp_path / "a", [connection(at(1, 7, month=10), "ada")])
    assert cell(whole, "eleve.net", "last-month") == Cell(Fraction(1))
    holed = counted(tmp_path / "b", [connection(at(1, 8, month=10), "ada")])
    assert cell(holed, "eleve.net", "last-month") == Cell(Fraction(1), "partial", 737 / 745)


def test_opening_dates(tmp_path):
    lines = [connection(at(16, 0), "ada"), connection(at(19), "ada")]
    oracle = counted(tmp_path, lines, opened=date(2026, 11, 16))
    assert cell(oracle, "eleve.net", "current-month") == Cell(Fraction(2))
    assert cell(oracle, "eleve.net", "last-month") == Cell(None, "na")
    assert oracle.table("connexions.authentifiees", window="last-month").total["eleve.net"] == Cell(None, "na")


def test_a_window_over_in_paris_but_not_in_the_marquesas(tmp_path):
    now = datetime(2026, 11, 20, 8, tzinfo=PARIS)
    start = datetime(2026, 11, 19, tzinfo=ZoneInfo("Pacific/Marquesas"))
    oracle = counted(tmp_path, [connection(start, "ada")], now, zone="Pacific/Marquesas")
    assert cell(oracle, "eleve.net", "last-day") == Cell(Fraction(1), "partial", 1.0)


def kept_by(path: Path, lines: list[Line], who: str) -> list[frozenset[str]]:
    """The sets that each of somebody's connections enters."""
    found = counted(path, lines).counted[COLLEGE].journal.connections
    return [fact.kept_by for fact in found if fact.who == who]


def test_sets_of_people_are_purged_seven_days_after_their_day(tmp_path):
    """Read on the 19th, a second line of the 10th is no person of that day any more, but one of its month."""
    late = connection(at(10), "late")
    lines = [connection(at(1, 0), "ada"), connection(at(10), "bob"), connection(at(19), "ada"), late]
    assert kept_by(tmp_path / "purged", lines, "late") == [{"month", "school_year"}]
    lines[2] = connection(at(17, 23), "ada")
    assert kept_by(tmp_path / "kept", lines, "late") == [{"day", "month", "school_year"}]


def test_a_set_that_never_was_is_not_purged(tmp_path):
    """History that is read after newer lines opens its sets late, and fills them."""
    lines = [
        connection(at(19), "ada"),
        connection(at(10), "late"),
        connection(at(10, 11), "late"),
        connection(at(2, month=10), "late"),
    ]
    assert kept_by(tmp_path, lines, "late") == [{"day", "month", "school_year"}] * 3


def test_a_cut_says_nothing_of_a_school_that_was_not_open_yet(tmp_path):
    oracle = counted(tmp_path, [connection(at(16, 0), "ada")], opened=date(2026, 11, 16))
    assert cell(oracle, "eleve.net", "current-month", "connexions.individus") == Cell(Fraction(1))


def test_the_same_file_is_read_once_whatever_its_name(tmp_path):
    folder = TerritoryFolder(tmp_path)
    folder.add(Place(COLLEGE, "Collège"), journal=["old/*.gz", "journal.ndjson", "copy.ndjson", "missing.ndjson"])
    lines = [connection(at(1, 0), "ada"), connection(at(19), "ada")]
    folder.write(f"{COLLEGE}/old/journal.1.gz", lines)
    folder.write(f"{COLLEGE}/copy.ndjson", lines)
    folder.write(f"{COLLEGE}/journal.ndjson", [*lines, connection(at(19, 11), "bob")], last_newline=False)
    assert cell(Oracle(tmp_path, NOW), "eleve.net", "current-month").value == 3


def test_every_reason_to_set_a_line_aside():
    reasons = set()
    for line in broken_lines(NOW):
        with pytest.raises(SetAside) as found:
            decode(as_bytes(line), PARIS, NOW)
        reasons.add(str(found.value))
    assert reasons == {
        "unreadable",
        "no_offset",
        "future",
        "too_old",
        "unknown_kind",
        "unknown_profile",
        "no_who",
        "unknown_channel_or_access",
        "channel_not_for_profile",
        "unknown_measure",
        "bad_n",
    }


def test_lines_up_to_a_day_ahead_and_back_to_the_previous_school_year_count():
    for when in (NOW + timedelta(hours=24), datetime(2025, 9, 1, tzinfo=PARIS)):
        assert decode(as_bytes(connection(when, "ada")), PARIS, NOW)["at"] == when


def test_order_and_search(tmp_path):
    folder = TerritoryFolder(tmp_path)
    for number, name in ((3, "Collège Zola"), (1, "école Élan"), (2, "Ecole elan"), (4, "Lycée")):
        folder.add(Place(uai(number), name, postal_codes=(f"8600{number}",)), journal=None)
    folder.add(Place(uai(5), "Sans convention", convention="none"), journal=None)
    oracle = Oracle(tmp_path, NOW)
    names = [oracle.counted[each].establishment.name for each in oracle.table("connexions.authentifiees").order]
    assert names[0] == "Collège Zola"
    assert names[-1] == "Lycée"
    assert len(names) == 4
    assert len(oracle.table("connexions.authentifiees", search="ELAN").order) == 2
    assert oracle.table("connexions.authentifiees", search="86004").order == [uai(4)]
    assert oracle.table("connexions.authentifiees", sort="-uai").order == sorted(
        (uai(n) for n in (1, 2, 3, 4)), reverse=True
    )


def test_the_hour_lived_twice_is_one_label_and_the_skipped_one_is_without_object(tmp_path):
    autumn = datetime(2026, 10, 26, 12, tzinfo=PARIS)
    twice = [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)]
    oracle = counted(
        tmp_path / "autumn",
        [connection(at(1, 0, month=10), "ada"), *(connection(each, "ada") for each in twice)],
        autumn,
    )
    assert oracle.hourly()[date(2026, 10, 25), 2] == Cell(Fraction(2))
    spring = datetime(2026, 3, 30, 12, tzinfo=PARIS)
    oracle = counted(tmp_path / "spring", [connection(at(1, 0, month=3), "ada")], spring)
    assert oracle.hourly()[date(2026, 3, 29), 2] == Cell(None, "na")
    assert oracle.hourly()[date(2026, 3, 29), 3] == Cell(Fraction(0))


def test_series_have_28_days_and_today_then_21_days_of_24_hours(tmp_path):
    oracle = counted(tmp_path, [connection(at(1, 0), "ada"), connection(at(20, 9), "ada")])
    daily = oracle.daily()
    assert (len(daily), min(daily), max(daily)) == (29, date(2026, 10, 23), date(2026, 11, 20))
    assert daily[date(2026, 11, 20)][0] == Cell(Fraction(1), "partial")
    assert daily[date(2026, 10, 23)][0] == Cell(None, "nd", left_out=1)
    assert len(oracle.hourly()) == 21 * 24


def test_the_nasty_territory_is_the_same_for_the_same_seed(tmp_path):
    for name in ("one", "two"):
        write_nasty(tmp_path / name, 5, NOW)
    files = [
        sorted(
            (path.relative_to(tmp_path / name), path.read_bytes())
            for path in (tmp_path / name).rglob("*.*")
            if path.is_file()
        )
        for name in ("one", "two")
    ]
    assert files[0] == files[1]
