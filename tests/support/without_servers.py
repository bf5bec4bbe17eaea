"""A written territory through the product's own code but no server: agents count it, their reports are folded, the query answers.

What Kafka, PostgreSQL and the gateway add is left to the stories (tests/e2e); here many territories and instants cost seconds.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from contracts import registry
from contracts.catalogue import CATALOGUE, GRAINS
from contracts.packed import pack
from contracts.periods import parse_start
from contracts.scope import Scope, VisibleEstablishment
from deploy.local.territory import Territory, read_territory
from services.aggregator.states import Key, State
from services.collector.clock import AgentClock
from services.collector.config import EstablishmentSettings, read_settings
from services.collector.service import EstablishmentService
from services.collector.store import Store
from services.gateway.as_csv import as_csv
from services.identity.scope import WIDGETS
from tests.services.aggregator.query.asking import ask
from tests.services.aggregator.query.ledger import Ledger, Sheet
from tests.support.agents import agent_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from contracts.answers import TableAnswer
    from contracts.usage_reported import Report


class _Folded(Ledger):
    """A ledger that is complete: folded once."""

    def sheets(self) -> list[Sheet]:
        return self._sheets

    @cached_property
    def _sheets(self) -> list[Sheet]:
        return super().sheets()


@dataclass
class WithoutServers:
    """Answers like a stack (`table`, `csv`) about the territory in `folder`, seen by its administrator at `now`."""

    folder: Path
    work: Path
    now: datetime
    ledger: _Folded = field(default_factory=_Folded)

    def __post_init__(self) -> None:
        self.now = self.now.astimezone(UTC)  # as every clock of the product says it
        agent = agent_for(self.folder.resolve(), self.work, name="a", seed=b"a", bootstrap="nowhere:9", now=self.now)
        for establishment in read_settings(agent.settings).establishments:
            for report in _reports(establishment, self.now):
                self._take(establishment.uai, report)

    def _take(self, uai: str, report: Report) -> None:
        start = parse_start(report.grain, report.start).toordinal()
        key = Key(uai, CATALOGUE.families[report.family].number, GRAINS.index(report.grain), start, 1)
        as_of = int(self.now.timestamp() * 1000)
        self.ledger.states[key] = State(report.restatement, report.cut, as_of, pack(report.cells, report.counts))

    @cached_property
    def scope(self) -> Scope:
        territory = read_territory(self.folder)
        return Scope(registry.Territory("d000", territory.name, territory.zone), 1, tuple(_visible(territory)))

    def table(self, table: str, **asked: Any) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(self._answer(table, asked))
        return found

    def csv(self, table: str, **asked: Any) -> str:
        return as_csv(self._answer(table, asked)).decode("utf-8")

    def _answer(self, table: str, asked: dict[str, Any]) -> TableAnswer:
        chosen = {{"establishment": "establishments"}.get(name, name): value for name, value in asked.items()}
        return ask(self.ledger, self.scope, table, now=self.now, **chosen)


def _reports(establishment: EstablishmentSettings, now: datetime) -> Iterator[Report]:
    """Everything that the agent would publish once it stands at the end of its sources; hours feed no table."""
    with closing(Store(":memory:")) as store:
        service = EstablishmentService(establishment, store, AgentClock(now), tidy=False)
        while service.turn(now, budget=2**40, to_the_end=True):
            pass
        for message, _ in service.messages("a", now):
            yield from (report for report in message.reports if report.grain != "hour")
        service.close()


def _visible(territory: Territory) -> Iterator[VisibleEstablishment]:
    for each in territory.establishments:
        if each.convention != "none":
            described = (each.uai, each.name, each.type, each.zone, each.postal_codes, each.opened, each.closed)
            yield VisibleEstablishment(
                registry.Establishment(*described),
                "joint" if each.convention == "joint" else "consent",
                frozenset(WIDGETS),
                grants=tuple(registry.Grant("a", each.uai, family) for family in each.families),
            )
