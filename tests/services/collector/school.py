"""One establishment with its folder, state and agent's service, for tests that write journals and look at what would leave."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from contracts.catalogue import CATALOGUE
from contracts.usage_reported import validate
from services.collector.config import EstablishmentSettings, GrantSettings, SourcesSettings
from services.collector.service import EstablishmentService
from services.collector.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from contracts.usage_reported import Report

UAI = "0750654D"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
Key = tuple[str, str, str]


def line(at: str, **fields: Any) -> str:
    return json.dumps({"at": at, **fields}, ensure_ascii=False)


def connection(
    at: str, who: str = "u1", profile: str = "eleve", channel: str = "web", access: str = "direct", **more: Any
) -> str:
    return line(at, kind="connection", who=who, profile=profile, channel=channel, access=access, **more)


def activity(at: str, measure: str, **more: Any) -> str:
    return line(at, kind="activity", measure=measure, **more)


def heartbeat(at: str) -> str:
    return line(at, kind="heartbeat")


@dataclass
class School:
    folder: Path
    zone: str = "Europe/Paris"
    type: str = "college"
    now: datetime = NOW
    sources: SourcesSettings = field(default_factory=lambda: SourcesSettings(journal="journal*"))
    grants: tuple[GrantSettings, ...] | None = None
    store: Store = field(init=False)
    service: EstablishmentService = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        settings = EstablishmentSettings(UAI, ZoneInfo(self.zone), self.type, self.folder, self.sources, self.grants)
        self.store = Store(self.folder / "agent.sqlite")
        self.service = EstablishmentService(settings, self.store)

    def restart(self) -> None:
        self.service.source.close()
        self.store.close()
        self.start()

    def write(self, *lines: str, name: str = "journal.ndjson", end: str = "\n") -> Path:
        path = self.folder / name
        with path.open("ab") as file:
            file.write(("\n".join(lines) + end).encode())
        return path

    def read(self, *, to_the_end: bool = True, budget: int = 2**40) -> School:
        while self.service.turn(self.now, budget=budget, to_the_end=to_the_end):
            pass
        return self

    def reports(self) -> dict[Key, Report]:
        """Everything that may leave now and was not acknowledged."""
        messages = self.service.messages("agent-1", self.now)
        found = [report for message, _ in messages for report in message.reports]
        for report in found:
            validate(report)
        return {(report.family, report.grain, report.start): report for report in found}

    def states(self) -> dict[Key, tuple[dict[int, int], bool]]:
        """The same, comparable: counts by cell, and whether they are cut."""
        reports = self.reports().items()
        return {key: (dict(zip(each.cells, each.counts, strict=True)), each.cut) for key, each in reports}

    def acknowledge(self) -> None:
        """As if Kafka had taken everything."""
        for _, periods in self.service.messages("agent-1", self.now):
            self.service.mark_published(periods, 0.0)

    def counts(self, family: str, grain: str, start: str) -> dict[str, int]:
        """Counts of one report by what its cells name, without the measure; empty when there is no report."""
        report = self.reports().get((family, grain, start))
        if report is None:
            return {}
        return {name(cell): n for cell, n in zip(report.cells, report.counts, strict=True)}

    def set_aside(self) -> dict[str, int]:
        return {reason: n for reason, n in self.service.source.set_aside.items() if n}

    def minutes(self, day: str) -> dict[int, int]:
        return {int(hour): n for hour, n in self.counts("observed.journal", "day", day).items()}


def name(code: int) -> str:
    """`eleve.web.direct`, `families.web`, `forums.6EME`, `bad_n` or the index of an hour."""
    cell = CATALOGUE.cells[code]
    parts = [cell.profile, cell.channel, cell.access, cell.level]
    if not cell.profile and cell.measure != "minutes":
        parts.insert(0, cell.measure)
    return ".".join(part for part in parts if part)
