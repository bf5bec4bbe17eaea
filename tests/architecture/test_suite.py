"""The suite's own machinery does what its marks say."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.architecture.sources import ROOT

if TYPE_CHECKING:
    from pathlib import Path

GROUPED = """
import os, time, pytest

pytestmark = pytest.mark.xdist_group("stacks")

@pytest.mark.parametrize("number", range(6))
def test_of_a_stack(number):
    time.sleep(0.05)
    with open(os.environ["SEEN"], "a") as seen:
        print(os.environ["PYTEST_XDIST_WORKER"], file=seen)
"""


def test_tests_of_one_group_share_a_worker(tmp_path: Path):
    """A release of pytest moved its ids, and every worker silently built every stack for itself."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (tmp_path / "test_grouped.py").write_text(GROUPED, "utf-8")
    asked = ["-q", "-n", "2", "--dist", "loadgroup", "-p", "xdist", "-p", "tests.support.grouping", str(tmp_path)]
    environment = {
        **os.environ, "SEEN": str(tmp_path / "seen"), "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }  # fmt: skip
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *asked],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    workers = (tmp_path / "seen").read_text("utf-8").split()
    assert len(workers) == 6
    assert len(set(workers)) == 1
