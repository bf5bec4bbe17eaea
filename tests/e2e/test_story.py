"""The story: an operator brings sources, and every number that the gateway shows is the one a plain second count finds.

Two instants, chosen for their nights: after the long one of October, late in the evening, when La Réunion already lives tomorrow;
and after the short one of March, early, when the Marquesas and the Antilles still live yesterday.
"""

from __future__ import annotations

import json
import os
import random
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psutil
import pytest

from contracts.topics import load_cards
from tests.support.asking import differences, every_question
from tests.support.oracle import Oracle
from tests.support.oracle.compare import daily_differences, freshness_differences, hourly_differences
from tests.support.oracle.count import TABLES
from tests.support.oracle.pages import WITHOUT_RATES
from tests.support.stacks import Stack, stack_of
from tests.support.territories import CANARY, write_nasty
from tests.support.territory_censuses import add_censuses
from tests.support.territory_logs import add_logs
from tests.support.wire import read_topic

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stacks")]

PARIS = ZoneInfo("Europe/Paris")
NIGHTS = {
    "autumn": datetime(2026, 10, 26, 22, 30, tzinfo=PARIS),
    "spring": datetime(2026, 3, 30, 1, 15, tzinfo=PARIS),
}
SEED = int(os.environ.get("TERRITORIALE_TEST_SEED") or random.SystemRandom().randrange(10**6))
"""Printed with every failure; set TERRITORIALE_TEST_SEED to replay it."""


@pytest.fixture(scope="module", params=NIGHTS)
def story(request, tmp_path_factory) -> Iterator[tuple[Stack, Oracle]]:
    now = NIGHTS[request.param]
    folder = tmp_path_factory.mktemp(f"story-{request.param}")
    territory = write_nasty(folder / "territory", SEED, now)
    add_censuses(territory, SEED, now)
    add_logs(territory, SEED, now)
    with stack_of(folder / "territory", folder / "local", now) as stack:
        yield stack, Oracle(folder / "territory", now)


def assert_same(found: list[str]) -> None:
    shown = "\n".join(found[:200])
    assert not found, f"seed {SEED}: {len(found)} differences\n{shown}"


def test_every_cell_of_every_table(story):
    """Values, states, shares, totals, extremes, order: each window, each display, as JSON and now and then as CSV."""
    stack, oracle = story
    draw = random.Random(SEED)
    found = []
    for table, question in every_question(oracle, draw, by_level=2):
        found += differences(stack, oracle, table, as_csv=table in TABLES or draw.random() < 0.25, **question)
    assert_same(found)


CHOICES: list[tuple[str, dict[str, Any]]] = [
    ("connexions.authentifiees", {"sort": "-name"}),
    ("connexions.authentifiees", {"sort": "uai"}),
    ("connexions.authentifiees", {"sort": "total.net"}),
    ("connexions.authentifiees", {"sort": "-eleve.mobile", "display": "rates"}),
    ("connexions.authentifiees", {"search": "ELISÉE"}),
    ("connexions.authentifiees", {"search": "nobody"}),
    ("accueil.comptes", {"sort": "-pupils.girls", "display": "rates"}),
    ("moyens.etablissements", {"sort": "pupils_per.teacher", "search": "75012"}),
    ("moyens.niveaux", {"sort": "-6EME", "display": "rates"}),
    ("social.eleves", {"sort": "-dropout.rate"}),
    ("social.assiduite", {"sort": "absence_half_days.b0", "search": "zo"}),
    ("social.discipline", {"sort": "-sanctions"}),
    ("social.niveaux.lateness", {"sort": "AUTRE"}),
    ("scolarite.etablissements", {"sort": "-work_online", "display": "rates"}),
    ("scolarite.niveaux.quizzes", {"sort": "3EME-SEGPA"}),
    ("communications.etablissements", {"sort": "-messages", "search": "cite"}),
    ("travaux.etablissements", {"sort": "requests_it", "display": "rates"}),
]


def test_filters_orders_and_searches(story):
    stack, oracle = story
    chosen = list(oracle.counted)[2:7]
    found = []
    for table, choice in CHOICES:
        found += differences(stack, oracle, table, window="last-month", as_csv=True, **choice)
        found += differences(stack, oracle, table, window="current-year", establishments=chosen, **choice)
    assert_same(found)


def test_series_and_freshness(story):
    stack, oracle = story
    one = list(oracle.counted)[:1]
    found = daily_differences(stack.json("/series/daily"), oracle.daily())
    found += hourly_differences(stack.json("/series/hourly"), oracle.hourly())
    found += daily_differences(stack.json("/series/daily", establishment=one), oracle.daily(one))
    found += hourly_differences(stack.json("/series/hourly", establishment=one), oracle.hourly(one))
    found += freshness_differences(stack.json("/freshness"), oracle.observed_until())
    assert_same(found)


def test_an_establishment_without_convention_is_not_there(story):
    stack, oracle = story
    hidden = {each.uai for each in oracle.territory.establishments} - set(oracle.counted)
    assert hidden
    for uai in hidden:
        for path in ("/tables/connexions.authentifiees", "/series/daily", "/series/hourly"):
            assert stack.get(path, establishment=uai).status_code == 404
        assert uai not in stack.get("/freshness").text
        assert uai not in stack.get("/summaries/accueil").text


def test_coverage_counts_every_establishment_that_was_open(story):
    stack, oracle = story
    answer = stack.json("/summaries/accueil", window="current-year")
    coverage = next(widget for widget in answer["widgets"] if widget["id"] == "couverture")
    first, last = (date.fromisoformat(answer[edge]) for edge in ("from", "to"))
    there = [
        each
        for each in oracle.territory.establishments
        if (each.opened or first) <= last and (each.closed or last) >= first
    ]
    assert {each.convention for each in there} == {"consent", "joint", "none"}
    assert coverage["rows"][-1]["cells"][0] == {"value": len(there)}


@pytest.mark.parametrize(
    ("path", "asked", "status"),
    [
        ("/tables/connexions.nonsense", {}, 404),
        ("/tables/connexions.authentifiees", {"window": "tomorrow"}, 422),
        ("/tables/connexions.authentifiees", {"window": "last-day", "school_year": "2025-2026"}, 422),
        ("/tables/connexions.authentifiees", {"school_year": "2025-2027"}, 422),
        ("/tables/connexions.authentifiees", {"display": "shares"}, 422),
        ("/tables/connexions.authentifiees", {"sort": "eleve.software"}, 422),
        ("/tables/connexions.authentifiees", {"establishment": "0750001A"}, 404),
        ("/tables/scolarite.niveaux.nonsense", {}, 404),
        ("/tables/social.niveaux.plans", {"sort": "AUTRE"}, 422),
        *((f"/tables/{table}", {"display": "rates"}, 422) for table in WITHOUT_RATES),
        ("/tables/connexions.authentifiees", {"search": "\x00"}, 422),
        ("/tables/connexions.authentifiees", {"colour": "red"}, 422),
    ],
)
def test_questions_that_cannot_be_answered_are_named(story, path, asked, status):
    stack, _ = story
    response = stack.get(path, **asked)
    assert response.status_code == status
    assert response.headers["content-type"].startswith("application/problem+json")
    assert response.json()["code"]


def test_nobody_reads_without_the_token(story):
    stack, _ = story
    for token in ("", "Bearer nonsense", f"Basic {stack.token}"):
        response = stack.client.get("/api/v1/tables/connexions.authentifiees", headers={"Authorization": token})
        assert response.status_code == 401


async def test_no_name_leaves_its_establishment(story):
    """Every `who`, and every other text of the sources, carries a canary: no topic, log, table or state file holds it."""
    stack, _ = story
    bootstrap = tomllib.loads((stack.state / "agent" / "agent.toml").read_text("utf-8"))["kafka"]["bootstrap"]
    for card in load_cards().values():
        for message in await read_topic(bootstrap, card.name):
            assert CANARY.encode() not in message.value
    folders = {stack.local, *(data_folder(process) for process in processes(stack) if data_folder(process))}
    files = [path for folder in folders for path in files_under(folder)]
    assert len([path for path in files if "pg_wal" in path.parts]) > 0, "PostgreSQL's own files are looked through"
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []


def files_under(folder: Path) -> list[Path]:
    """Regular files, not those of the shared cache of jars, a link."""
    found = [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]
    return [path for path in found if path.is_file()]


def data_folder(process: psutil.Process) -> Path | None:
    """Where a PostgreSQL keeps its data: what follows `-D`."""
    words = process.cmdline()
    return Path(words[words.index("-D") + 1]) if "-D" in words[:-1] else None


def processes(stack: Stack) -> list[psutil.Process]:
    supervisor = psutil.Process(json.loads((stack.state / "status.json").read_text())["supervisor"])
    return [supervisor, *supervisor.children(recursive=True)]


def test_down_leaves_no_process_and_no_port(story):
    """The last test of each story: what `local up` started is gone, all of it."""
    stack, _ = story
    mine = processes(stack)
    ports = {address.laddr.port for process in mine for address in listening(process)}
    assert len(mine) >= 7
    assert len(ports) >= 7
    down = stack.command("local", "down")
    assert down.returncode == 0, down.stderr
    assert [process for process in mine if alive(process)] == []
    assert [process.cmdline() for process in psutil.process_iter() if belongs_to(process, str(stack.local))] == []
    assert not ports & {each.laddr.port for each in psutil.net_connections("inet") if each.status == psutil.CONN_LISTEN}


def alive(process: psutil.Process) -> bool:
    """Not merely waiting to be forgotten by a container's first process."""
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


def listening(process: psutil.Process) -> list[Any]:
    return [each for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN]


def belongs_to(process: psutil.Process, local: str) -> bool:
    """Whether a process was started for this stack: its folder stands in its environment or its command."""
    try:
        return process.environ().get("TERRITORIALE_LOCAL") == local or any(local in word for word in process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False
