"""A PRONOTE year is data: a new one is a new file, in force from its own first day on."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.collector.access_log import AccessLog, Establishment, Fact, Years, load_years
from services.collector.access_log.rules import SHIPPED
from tests.services.collector.access_log.reading import SECRET, UAI, connections, read, reasons
from tests.support.access_logs import OPENING, Hit, call, combined, page

EVE = datetime(2030, 6, 30, 23, 59, tzinfo=UTC)
DAY = datetime(2030, 7, 1, 12, tzinfo=UTC)
ORDER = "c0ffee" * 5
INVENTED = f"""
year = 2030
since = 2030-07-01
opening_call = "appelservice"
opening_order = "{ORDER}"
orders_to_authenticate = 2
calls_with_order = ["appelservice"]
pages = ["accueil"]
app_marker = "PRONOTE App"
script_agents = ["robot"]
hosted_domain = "pronote.example"

[[espace]]
id = 3
name = "Agent"
profile = "personnel"

[[espace]]
id = 77
name = "mobile Tuteur"
profile = "responsable"
mobile = true
"""


@pytest.fixture
def years(tmp_path: Path) -> Years:
    """The rules that are shipped, and a year of which nothing is as before."""
    for file in SHIPPED.iterdir():
        shutil.copy(str(file), tmp_path)
    (tmp_path / "2030.toml").write_text(INVENTED)
    return load_years(tmp_path)


def facts_of(years: Years, *hits: Hit) -> list[Fact]:
    log = AccessLog([Establishment(UAI)], SECRET, years=years)
    return read([combined(hit) for hit in hits], log, now=DAY + timedelta(days=400))


def session(at: datetime, espace: int = 3, orders: int = 4, **rest: Any) -> list[Hit]:
    """A session as it was opened before 2030."""
    texts = [OPENING, *(f"{n:032x}" for n in range(1, orders))]
    return [call(at + timedelta(seconds=n), espace, 7, order, **rest) for n, order in enumerate(texts)]


def new_session(at: datetime, espace: int = 3, orders: int = 2, **rest: Any) -> list[Hit]:
    """And since."""
    texts = [ORDER, *(f"{n:032x}" for n in range(1, orders))]
    return [
        call(at + timedelta(seconds=n), espace, 7, order, name="appelservice", **rest) for n, order in enumerate(texts)
    ]


def test_a_year_begins_on_its_own_day(years: Years) -> None:
    edge = datetime(2030, 7, 1, tzinfo=UTC).timestamp()
    assert years.at(edge - 1).year == max(load_years().every, key=lambda rules: rules.year).year
    assert years.at(edge).year == 2030
    assert years.at(0).year == 2024, "the first year reads whatever is older"


def test_the_date_of_a_line_chooses_the_rules(years: Years) -> None:
    assert connections(facts_of(years, *session(EVE))) == [(EVE, "eleve", "web", "unknown")]
    assert connections(facts_of(years, *new_session(DAY))) == [(DAY, "personnel", "web", "unknown")]
    assert connections(facts_of(years, *session(EVE), *new_session(DAY))) == [
        (EVE, "eleve", "web", "unknown"),
        (DAY, "personnel", "web", "unknown"),
    ]


def test_what_another_year_says_is_nothing(years: Years) -> None:
    assert facts_of(years, *session(DAY)) == []
    assert facts_of(years, *new_session(EVE)) == []


def test_pages_markers_and_scripts_are_of_their_year(years: Years) -> None:
    ticket = page(DAY - timedelta(seconds=9), "accueil", "ticket=ST-1", agent="PRONOTE App")
    assert connections(facts_of(years, ticket, *new_session(DAY, agent="PRONOTE App"))) == [
        (DAY, "personnel", "mobile", "ent")
    ]
    assert reasons(facts_of(years, *new_session(DAY, agent="Robot/1"))) == {"script": 1}
    assert reasons(facts_of(years, *session(EVE, agent="Robot/1"))) == {}


def test_both_domains_are_the_establishment_s(years: Years) -> None:
    for domain in ("index-education.net", "pronote.example"):
        hits = session(EVE, host=f"{UAI.lower()}.{domain}")
        log = AccessLog([Establishment(UAI), Establishment("0750002V")], SECRET, years=years)
        lines = [f"{hit.host} ".encode() + combined(hit) for hit in hits]
        assert len(connections(read(lines, log, now=DAY))) == 1


def test_an_espace_that_only_later_rules_list_is_what_they_say(years: Years) -> None:
    """A server that runs the new version before its day; nobody's number means anything else."""
    assert connections(facts_of(years, *session(EVE, 77))) == [(EVE, "responsable", "mobile", "unknown")]
    assert reasons(facts_of(years, *session(EVE, 78))) == {"unknown_espace": 1}
    assert reasons(facts_of(load_years(), *session(datetime(2024, 10, 1, tzinfo=UTC), 39))) == {"outside_profiles": 1}


def test_a_session_over_the_edge_is_of_the_year_in_which_it_was_opened(years: Years) -> None:
    start = datetime(2030, 6, 30, 23, 59, 58, tzinfo=UTC)
    first, *rest = session(start)
    later = [call(start + timedelta(seconds=n), 3, 7, f"{n:032x}", name="appelservice") for n in (5, 6)]
    assert connections(facts_of(years, first, rest[0], *later)) == [(start, "eleve", "web", "unknown")]
    assert connections(facts_of(years, first, rest[0], later[0])) == []
