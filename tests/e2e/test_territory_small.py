"""The frozen small territory through a whole stack, half an hour into the school year: every table says what the oracle expects.

The oracle's answers are kept in tests/data/expected, held by tests/support/test_territory_small.py.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.asking import differences, every_question
from tests.support.oracle import Oracle
from tests.support.stacks import Stack, stack_of
from tests.support.territory_small import NOW, SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stacks")]


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Iterator[tuple[Stack, Oracle]]:
    folder = tmp_path_factory.mktemp("small")
    shutil.copytree(SOURCES, folder / "territory")
    with stack_of(folder / "territory", folder / "local", NOW) as stack:
        yield stack, Oracle(folder / "territory", NOW)


def test_every_table_at_the_edge_of_the_school_year(small):
    stack, oracle = small
    found = []
    for table, question in every_question(oracle, random.Random(1), by_level=3):
        found += differences(stack, oracle, table, as_csv=question.get("window") == "last-year", **question)
    assert not found, f"{len(found)} differences\n" + "\n".join(found[:200])
