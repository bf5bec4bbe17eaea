"""What the faults share: one stack for those that need a whole one, and the aggregator's stage for those that need only its topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.scene import SEED, Scene, scene
from tests.services.aggregator.conftest import stage

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["stage"]

PIECES = 80
"""Each test that reads new lines uses up one or several."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Whatever fails here says how it is replayed."""
    report = yield
    if report.failed:
        report.sections.append(("replay", f"TERRITORIALE_TEST_SEED={SEED}"))
    return report


@pytest.fixture(scope="package")
def faults(tmp_path_factory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("faults"), pieces=PIECES) as built:
        yield built
