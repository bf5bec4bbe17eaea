"""What the oracle expects of the frozen territory does not change unseen: its files are compared, and refreshed on demand."""

from __future__ import annotations

import pytest

from tests.support.oracle import Oracle
from tests.support.oracle.count import EVERY_TABLE
from tests.support.territory_small import DATA, NOW, SOURCES, expected_file, expected_text


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle(SOURCES, NOW)


@pytest.mark.parametrize("table", EVERY_TABLE)
def test_expected_answers(oracle, table, update_test_data):
    """`--update-test-data` writes them again: look at the difference before you commit it."""
    path = expected_file(table)
    if update_test_data:
        path.parent.mkdir(exist_ok=True)
        path.write_text(expected_text(oracle, table), "utf-8")
    assert path.read_text("utf-8") == expected_text(oracle, table)


def test_there_is_a_file_for_every_table():
    assert {path.stem for path in (DATA / "expected").iterdir()} == set(EVERY_TABLE)
