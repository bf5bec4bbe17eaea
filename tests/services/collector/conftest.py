"""A school for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.collector.school import School


@pytest.fixture
def make_school(tmp_path: Path) -> Iterator[Callable[..., School]]:
    """Schools that are closed when the test ends; each call makes another folder."""
    made: list[School] = []

    def make(**settings: Any) -> School:
        made.append(School(tmp_path / f"school-{len(made)}", **settings))
        return made[-1]

    yield make
    for school in made:
        school.service.source.close()
        school.store.close()


@pytest.fixture
def school(make_school: Callable[..., School]) -> School:
    return make_school()
