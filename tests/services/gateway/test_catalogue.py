"""GET /catalogue: what a reader may see, and nothing of what they may not."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from httpx import AsyncClient

from contracts.answers import State
from contracts.catalogue import CATALOGUE
from contracts.published_catalogue import CatalogueAnswer, published
from contracts.scope import Sight
from services.gateway.catalogue import sees
from services.gateway.parameters import WINDOWS
from services.identity.scope import WIDGETS
from tests.services.aggregator.query.ledger import scope, visible

ALWAYS = frozenset({"accueil", "connexions"})


def told(sight: Sight) -> CatalogueAnswer:
    return published(lambda column: sees(sight, column))


def columns(answer: CatalogueAnswer) -> dict[str, list[str]]:
    return {table.id: [column.id for column in table.columns] for menu in answer.menus for table in menu.tables}


def test_who_may_see_everything_is_told_everything():
    everything = scope(visible("0860001A", widgets=WIDGETS, convention="joint")).sight
    answer = told(everything)
    assert columns(answer) == {table.id: [column.id for column in table.columns] for table in CATALOGUE.tables.values()}
    assert [menu.id for menu in answer.menus] == list(CATALOGUE.pages)
    cards = {column.definition for menu in answer.menus for table in menu.tables for column in table.columns}
    assert cards == set(answer.definitions)


def test_accueil_and_connexions_are_everybodys_and_nothing_else():
    answer = told(scope(visible("0860001A")).sight)
    assert [menu.id for menu in answer.menus] == ["accueil", "connexions"]
    assert [menu.id for menu in told(scope().sight).menus] == ["accueil", "connexions"]


def test_a_widget_shows_its_columns_and_no_other():
    answer = told(scope(visible("0860001A", widgets=["moyens.classes", "scolarite.stages"])).sight)
    shown = columns(answer)
    assert shown["moyens.etablissements"] == ["classes", "pupils_per.class"]
    assert shown["scolarite.etablissements"] == ["placements"]
    assert "moyens.niveaux" not in shown
    assert [table for table in shown if table.startswith("scolarite.niveaux")] == ["scolarite.niveaux.placements"]
    widgets = {menu.id: [widget.id for widget in menu.widgets] for menu in answer.menus}
    assert (widgets["moyens"], widgets["scolarite"]) == (["classes"], ["stages"])
    assert not any("girls" in card for card in answer.definitions if card.startswith("moyens"))


def test_what_is_for_establishments_alone_takes_an_exact_one_with_that_widget():
    social = frozenset({"social.discipline"})
    consent = visible("0860001A", widgets=social)
    shown = columns(told(scope(consent).sight))
    assert shown["social.discipline"] == ["protective_measures"]
    assert "social.niveaux.sanctions" not in shown
    elsewhere = visible("0860002B", widgets=["social.eleves"], convention="joint")
    assert columns(told(scope(consent, elsewhere).sight))["social.discipline"] == ["protective_measures"]
    assert "medical_plans" in columns(told(scope(consent, elsewhere).sight))["social.eleves"]
    own = visible("0860001A", widgets=social, own=True)
    assert "sanctions" in columns(told(scope(own).sight))["social.discipline"]


def test_levels_share_a_card_and_cards_speak_english_on_demand():
    everything = Sight(WIDGETS | ALWAYS, WIDGETS | ALWAYS)
    english = published(lambda column: sees(everything, column), "en")
    assert (
        english.definitions["scolarite.niveaux.quizzes"].text == "Quizzes created by teachers. Counted level by level."
    )
    assert len(english.definitions) < sum(len(table.columns) for table in CATALOGUE.tables.values()) / 4


def test_windows_states_and_charts_have_their_names():
    answer = told(scope().sight)
    assert [window.id for window in answer.windows] == list(WINDOWS)
    assert {state.id for state in answer.states} == set(get_args(State))
    assert {menu.id: [chart.id for chart in menu.series] for menu in answer.menus} == {
        "accueil": [],
        "connexions": ["daily", "hourly"],
    }


@pytest.mark.connected
async def test_the_catalogue_over_http(reader: AsyncClient):
    response = await reader.get("/api/v1/catalogue")
    assert response.status_code == 200
    answer = msgspec.json.decode(response.content, type=CatalogueAnswer)
    assert answer.language == "fr"
    assert {"accueil", "connexions", "social"} <= {menu.id for menu in answer.menus}
    assert "social.niveaux.sanctions" not in columns(answer), "no joint convention here"
    english = await reader.get("/api/v1/catalogue", params={"lang": "en"})
    assert msgspec.json.decode(english.content, type=CatalogueAnswer).language == "en"
    assert (await reader.get("/api/v1/catalogue", params={"lang": "de"})).status_code == 422
    del reader.headers["Authorization"]
    assert (await reader.get("/api/v1/catalogue")).status_code == 401
