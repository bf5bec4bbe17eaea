"""Bringing a territory into a stack: register it, have its sources read, wait until the API shows them."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.local.credentials import write_private
from deploy.local.errors import BadTerritoryError, ProgramFailedError
from deploy.local.places import ROOT
from deploy.local.process import answers, run_to_end
from deploy.local.program import Ends, Node, Program, Readiness, Runs, Step
from deploy.local.stack import Site, python_environment

REPORTS, GROUP = "usage.reported.v1", "aggregator"
"""The topic that the agent writes and the consumer group that must have read it all."""

STUCK_AFTER_S = 180.0
"""Without any message read in this time the aggregator is not slow, it is stuck."""

LOOK_AGAIN_S = 0.2
"""Between two looks at how far the aggregator has read; Kafka does not announce commits."""

BAD_INPUT = 2
"""Exit code of operators' commands that refuse what they were given."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the territory of a folder is read. `follow`: go on reading after its end. `after`: what must be done before.

    `seen`, where given, is a mark left once everything was visible: later starts do not wait for the sources' end again.
    `imports`: school years before the agents, imported once everything is visible; `past`: what must be done before that.
    """

    territory: Path
    follow: bool
    after: tuple[str, ...] = ()
    seen: Path | None = None
    imports: tuple[str, ...] = ()
    past: tuple[str, ...] = ()

    @property
    def goes_on(self) -> bool:
        return self.follow and self.seen is not None and self.seen.exists()


def reading_nodes(site: Site, reading: Reading) -> list[Node]:
    """In order: registration → sources (the agent, once) → visible → agent, for good, where it follows."""
    registration = Step(name="registration", run=lambda: _register(site, reading), needs=("identity", *reading.after))
    if reading.goes_on:
        visible = Step(
            name="visible", run=lambda: _wait_until_answered(site), needs=("registration", "query", "gateway")
        )
        return [registration, visible, _agent(site, "agent", (), ("registration", "kafka", "aggregator"))]
    sources = _agent(site, "sources", ("--until-idle",), ("registration", "kafka", "aggregator"))
    visible = Step(name="visible", run=lambda: _see(site, reading), needs=("sources", "query", "gateway"))
    imports = _imports(site, reading)
    before = imports[-1].name if imports else "visible"
    following = [replace(_agent(site, "agent", (), (before,)), behind=bool(imports))] if reading.follow else []
    return [registration, sources, visible, *imports, *following]


def _imports(site: Site, reading: Reading) -> list[Program]:
    """One after another, since an agent's state has one master; only the first start of a stack comes here."""
    needs: tuple[str, ...] = ("visible", *reading.past)
    found: list[Program] = []
    for year in reading.imports:
        words = ("import", "--school-year", year)
        found.append(replace(_agent_command(site, f"import-{year}", words, needs, Ends()), behind=True))
        needs = (found[-1].name,)
    return found


async def _see(site: Site, reading: Reading) -> None:
    await _wait_until_read(site)
    await _wait_until_answered(site)
    if reading.seen:
        reading.seen.touch()


def _agent(site: Site, name: str, options: tuple[str, ...], needs: tuple[str, ...]) -> Program:
    return _agent_command(site, name, ("run", *options), needs, Ends() if options else Runs())


def _agent_command(site: Site, name: str, words: tuple[str, ...], needs: tuple[str, ...], ready: Readiness) -> Program:
    settings = site.folder / "agent" / "agent.toml"
    return Program(
        name=name,
        command=(sys.executable, "-m", "territoriale", "agent", words[0], "--settings", str(settings), *words[1:]),
        ready=ready,
        environment=python_environment(site),
        folder=ROOT,
        needs=needs,
    )


async def _register(site: Site, reading: Reading) -> None:
    """What reads territories brings half the platform with it, so it is imported when servers are starting anyway."""
    from deploy.local.enrolment import enrol, registration
    from deploy.local.territory import read_territory

    territory = read_territory(reading.territory)
    public_key = enrol(territory, site.folder / "agent", kafka=site.kafka, cadence_s=site.cadence_s)
    document = site.folder / "agent" / "registration.json"
    write_private(document, json.dumps(registration(territory, public_key, site.credentials.token)))
    code, output = await run_to_end(
        (sys.executable, "-m", "territoriale", "admin", "import", str(document), "--json"),
        environment=python_environment(site), folder=ROOT,
    )  # fmt: skip
    document.unlink()
    if code:
        kind = BadTerritoryError if code == BAD_INPUT else ProgramFailedError
        raise kind(
            f"The territory cannot be registered: {(output.strip().splitlines() or ['no reason was given'])[-1]}"
        )


async def _wait_until_read(site: Site) -> None:
    """Until the aggregator has committed everything that stands in the topic."""
    from chassis.kafka import lag

    clock = asyncio.get_running_loop().time
    least, since = -1, clock()
    while left := await lag(site.kafka, GROUP, REPORTS):
        if least < 0 or left < least:
            least, since = left, clock()
        if clock() - since > STUCK_AFTER_S:
            raise ProgramFailedError(
                f"The aggregator has {left} messages left and reads none of them; read {site.folder / 'logs' / 'aggregator.log'}."
            )
        await asyncio.sleep(LOOK_AGAIN_S)


async def _wait_until_answered(site: Site) -> None:
    address = f"{site.url}/api/v1/freshness"
    async with asyncio.timeout(STUCK_AFTER_S):
        while not await answers(address, bearer=site.credentials.token):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(LOOK_AGAIN_S)
