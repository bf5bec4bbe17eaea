"""The demonstration: a simulated territory that writes journals, read by a real agent while they grow."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.places import ROOT
from deploy.local.program import Ends, Node, Program, Readiness, Runs
from deploy.local.reading import Reading, reading_nodes
from deploy.local.simulation.past import past_years
from deploy.local.simulation.preparation import FIRST_SCREEN, local_date
from deploy.local.stack import Site, python_environment

CADENCE_S = 3.0
"""Seconds between two publications of the demonstration's agent, so that live traffic is seen to be live."""


def demonstration_nodes(site: Site) -> list[Node]:
    """In order: history (first eight weeks) → registration → sources → visible → past years → agent and simulation, for good.

    The address is told once the eight weeks are visible. A later run finds them in the sheets: it answers at once, and the agent
    reads on behind.
    """
    folder, seen = site.folder / "territory", site.folder / "agent" / "seen"
    years = tuple(year.name for year in past_years(local_date(datetime.now(UTC)) - FIRST_SCREEN))
    reading = Reading(folder, follow=True, after=("history",), seen=seen, imports=years, past=("past",))
    past = (
        []
        if reading.goes_on
        else [replace(_simulation(site, folder, "past", "past", Ends(), ("visible",)), behind=True)]
    )
    life = _simulation(site, folder, "simulation", "live", Runs(), ("visible", *(each.name for each in past)))
    return [
        _simulation(site, folder, "history", "prepare", Ends()),
        *reading_nodes(site, reading),
        *past,
        replace(life, behind=bool(past)),
    ]


def _simulation(
    site: Site, folder: Path, name: str, command: str, ready: Readiness, needs: tuple[str, ...] = ()
) -> Program:
    return Program(
        name=name,
        command=(sys.executable, "-m", "deploy.local.simulation", command, "--folder", str(folder)),
        ready=ready,
        environment=python_environment(site),
        folder=ROOT,
        needs=needs,
    )
