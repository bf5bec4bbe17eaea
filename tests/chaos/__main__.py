"""`make chaos`: every fault of tests/chaos on twenty seeds; goes on after a failing one, and tells which, with its differences.

A seed and a fault are enough to replay: `make chaos SEED=<seed> SEEDS=1 FAULT=<row>`. To resume, give the next seed.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import click

HERE = Path(__file__).parent
NO_TESTS = 5
"""pytest's exit code where nothing was selected."""


@dataclass
class Outcome:
    """What became of one test over all seeds."""

    passed: int = 0
    failed: list[int] = field(default_factory=list)
    slowest_s: float = 0.0


@dataclass
class Report:
    outcomes: defaultdict[str, Outcome] = field(default_factory=lambda: defaultdict(Outcome))

    def read(self, seed: int, results: Path) -> None:
        """Add one run; print what failed in it."""
        for case in ET.parse(results).getroot().iter("testcase"):
            name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
            outcome = self.outcomes[name]
            outcome.slowest_s = max(outcome.slowest_s, float(case.get("time", 0)))
            faults = [*case.findall("failure"), *case.findall("error")]
            if faults:
                outcome.failed.append(seed)
                click.secho(f"seed {seed}: {name}", fg="red")
                click.echo("\n".join(_last_words(fault) for fault in faults))
            else:
                outcome.passed += 1

    def show(self) -> None:
        width = max(map(len, self.outcomes), default=4)
        click.echo(f"\n{'fault':{width}}  passed  failed  slowest  seeds that failed")
        for name, outcome in sorted(self.outcomes.items()):
            seeds = " ".join(map(str, outcome.failed))
            click.echo(
                f"{name:{width}}  {outcome.passed:6}  {len(outcome.failed):6}  {outcome.slowest_s:5.0f} s  {seeds}".rstrip()
            )

    @property
    def failures(self) -> Counter[int]:
        """How many tests failed, by seed."""
        return Counter(seed for outcome in self.outcomes.values() for seed in outcome.failed)


def _last_words(fault: ET.Element) -> str:
    """The message, which holds the differences; where it is empty, the end of the trace."""
    said = fault.get("message") or ""
    return said if said.strip() else "\n".join((fault.text or "").splitlines()[-15:])


def run(seed: int, fault: str, results: Path) -> int:
    """All chosen tests once; pytest's exit code."""
    chosen = ["-m", " or ".join(f"fault(row={row})" for row in fault.split(","))] if fault else []
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadgroup",
               f"--junitxml={results}", *chosen, str(HERE)]  # fmt: skip
    environment = {**os.environ, "TERRITORIALE_TEST_SEED": str(seed)}
    return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode


@click.command()
@click.option("--seed", type=int, help="The first seed; drawn when absent.")
@click.option("--seeds", default=20, show_default=True, help="How many, one after the other.")
@click.option("--fault", default="", help="Rows of docs/faults.md, separated by commas; all when absent.")
def main(seed: int | None, seeds: int, fault: str) -> None:
    first = random.SystemRandom().randrange(10**6) if seed is None else seed
    click.echo(f"seeds {first} to {first + seeds - 1}; to resume: make chaos SEED=<next> SEEDS=<left>")
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        for each in range(first, first + seeds):
            began, results = time.monotonic(), Path(folder) / f"{each}.xml"
            code = run(each, fault, results)
            if code == NO_TESTS or not results.exists():
                raise click.ClickException(
                    f"no test could be run (pytest: {code}); is {fault!r} a row of docs/faults.md?"
                )
            report.read(each, results)
            click.echo(f"seed {each}: {report.failures[each] or 'none'} failed, {time.monotonic() - began:.0f} s")
    report.show()
    sys.exit(1 if report.failures else 0)


if __name__ == "__main__":
    main()
