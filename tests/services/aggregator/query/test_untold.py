"""What a reader may not know leaves no trace anywhere: no cell, total, extreme, order, note, CSV or summary."""

from __future__ import annotations

from datetime import date
from functools import cache, cached_property

import msgspec
import pytest

from contracts.catalogue import CATALOGUE, Display, Table
from contracts.scope import Scope
from services.gateway.as_csv import as_csv
from services.identity.scope import WIDGETS
from tests.services.aggregator.query.asking import ask, ask_summary
from tests.services.aggregator.query.ledger import Ledger, Sheet, scope, visible

A, B, C = "0860001A", "0860002B", "0860003C"
TODAY, YESTERDAY = date(2026, 11, 20), date(2026, 11, 19)
COLUMNS = (
    "plans",
    "plans_medicaux",
    "accompagne",
    "decrochage",
    "absences",
    "retards",
    "sanctions",
    "punitions",
    "incidents",
)
DENIED = {
    "": ("incidents", "lesson_exclusions", "punishments", "sanctions"),
    "eleves": ("medical_plans", "pupils_with_medical_plans", "accompanied", "sanctions.b1_2", "punishments.b0", "incidents.b6"),
}  # fmt: skip
"""Measures behind indicators 28 to 32 and 35, which are for establishments alone: of journals, of the census of pupils."""
HIDDEN = ("plans", "pupils_with_plans", "dropout", "absence_half_days.b20", "lateness.b5_9")
FAMILIES = tuple(f for f in CATALOGUE.families if f.startswith(("activities.", "census.", "observed.journal")))


def _cell(measure: str) -> str:
    """Where the measure is told by level: that of one level."""
    return f"{measure} 6EME" if CATALOGUE.measures["census.eleves", measure].dims == "level" else measure


class Folded(Ledger):
    """Complete: folded once, however often it is asked about."""

    def sheets(self) -> list[Sheet]:
        return self._sheets

    @cached_property
    def _sheets(self) -> list[Sheet]:
        return super().sheets()


@cache
def written(*, denied: int = 40, hidden: int = 3) -> Folded:
    """Three establishments; `denied`: what each counts of the measures for establishments alone, `hidden`: what A and B count of others."""
    ledger = Folded()
    for place, uai in enumerate((A, B, C)):
        ledger.observe(uai, YESTERDAY, TODAY)
        told = hidden if uai != C else 60
        census = dict.fromkeys(DENIED["eleves"], denied * (place + 1))
        census |= dict.fromkeys(HIDDEN, told)
        census |= {"pupils": 300, **{f"valued.{column}": 280 for column in COLUMNS}}
        ledger.take_census(uai, "eleves", {_cell(name): n for name, n in census.items()}, columns=COLUMNS)
        for measure in DENIED[""]:
            ledger.act(uai, YESTERDAY, measure, denied * (place + 1), level="6EME")
        for measure in ("absence_half_days", "lateness", "protective_measures"):
            ledger.act(uai, YESTERDAY, measure, told, level="6EME")
    return ledger


def reader() -> Scope:
    return scope(*(visible(uai, families=FAMILIES, widgets=WIDGETS) for uai in (A, B, C)))


def everything(ledger: Ledger, table: Table, display: Display) -> list[bytes]:
    """The table as JSON and CSV: by name, and by each column (of those by levels, the one that holds something)."""
    sorts = ["name", *(f"-{column.id}" for column in table.columns if column.level in {"", "6EME"})]
    answers = [ask(ledger, reader(), table.id, display=display, sort=sort, window="last-day") for sort in sorts]
    return [*map(msgspec.json.encode, answers), *map(as_csv, answers)]


SOCIAL = [table for table in CATALOGUE.tables.values() if table.page == "social"]


@pytest.mark.parametrize(
    ("table", "display"), [(table, display) for table in SOCIAL for display in table.displays], ids=lambda v: str(getattr(v, "id", v))
)  # fmt: skip
def test_what_is_denied_or_hidden_changes_no_byte_of_a_table(table: Table, display: Display):
    one = everything(written(), table, display)
    assert one == everything(written(denied=70), table, display)
    assert one == everything(written(denied=0), table, display)
    assert one == everything(written(hidden=1), table, display)


def test_nor_of_a_summary():
    one = msgspec.json.encode(ask_summary(written(), reader(), "social", window="last-day"))
    for other in (written(denied=70), written(denied=0), written(hidden=1)):
        assert msgspec.json.encode(ask_summary(other, reader(), "social", window="last-day")) == one


def test_what_may_be_known_does_change_it():
    own = scope(visible(A, families=FAMILIES, widgets=WIDGETS, own=True))
    for table in ("social.eleves", "social.discipline"):
        assert ask(written(), own, table, window="last-day") != ask(written(denied=70), own, table, window="last-day")
    assert ask(written(), reader(), "social.assiduite", window="last-day") != ask(
        written(hidden=30), reader(), "social.assiduite", window="last-day"
    )
