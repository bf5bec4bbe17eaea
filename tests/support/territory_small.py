"""The frozen small territory: its sources (tests/data/territory-small), the instant it is looked at, what is expected of it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tests.support.oracle.count import displays_of
from tests.support.oracle.frozen import frozen

if TYPE_CHECKING:
    from tests.support.oracle import Oracle

DATA = Path(__file__).parents[1] / "data"
SOURCES = DATA / "territory-small"
NOW = datetime(2026, 9, 1, 0, 30, tzinfo=ZoneInfo("Europe/Paris"))
"""The school year is half an hour old in Paris, has begun in La Réunion, and has an evening left in Guadeloupe."""


def expected_file(table: str) -> Path:
    return DATA / "expected" / f"{table}.json"


def expected_text(oracle: Oracle, table: str) -> str:
    """The answers that are kept of a table: the year that has just ended, and of a page its last day and month too."""
    windows = ["last-year"] if ".niveaux" in table else ["last-year", "last-month", "last-day"]
    answers: dict[str, Any] = {
        f"window={window}&display={display}": frozen(oracle.table(table, window=window, display=display))
        for window in windows
        for display in displays_of(table)
    }
    return json.dumps(answers, ensure_ascii=False, indent=1) + "\n"
