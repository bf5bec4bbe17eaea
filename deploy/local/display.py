"""What the operator sees while a stack comes up, and what is printed when it stands."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import click

from deploy.local.output import Choice
from deploy.local.stack import SERVERS
from deploy.local.status import State

WORTH_SHOWING = re.compile(r"\b(warn|warning|error|critical|fatal|traceback)\b", re.IGNORECASE)
"""Lines of services that a demonstration shows; everything is in the log files."""

NAMES = {
    "history": "le territoire fictif écrit ses huit premières semaines",
    "registration": "territoire, conventions, agent et droits enregistrés",
    "sources": "l'agent a lu les sources jusqu'au bout",
    "visible": "tout est visible par l'API",
    "past": "ce qui est repris des années d'avant les agents est écrit",
    "import": "année reprise d'avant les agents :",
    "agent": "l'agent continue de lire",
    "simulation": "l'historique puis le trafic en direct s'écrivent",
}
"""Steps of the demonstration, in the words of its spectators; servers and services keep their names. A step of which there are
several is named with what sets it apart: import-2024-2025."""


UNDER_WAY = {
    "history": "le territoire fictif écrit ses journaux",
    "registration": "enregistrement du territoire",
    "sources": "l'agent lit les journaux et publie ses comptes",
    "visible": "l'agrégateur finit de lire",
    "past": "totaux et recensements d'avant les agents",
    "import": "reprise de l'année",
}
"""The same steps before they are done."""


class Progress:
    """One line for each thing that becomes ready, with the seconds since the beginning."""

    def __init__(
        self, show: Callable[[str], None], names: dict[str, str] | None = None, waiting: str = "waiting for "
    ) -> None:
        self._show, self._names, self._waiting, self._began = show, names or {}, waiting, time.monotonic()

    def hear(self, said: dict[str, Any]) -> None:
        """One report of a background supervisor."""
        if "say" in said:
            self.say(said["say"])
        elif "awaiting" in said:
            self.awaiting(said["awaiting"])
        else:
            self.changed(said["name"], said["state"])

    def say(self, sentence: str) -> None:
        self._show(f"  {self._seconds()}  {sentence}")

    def changed(self, name: str, state: State) -> None:
        if state in ("ready", "done"):
            self.say(click.style(f"✓ {_told(self._names, name)}", fg="green"))
        elif state in ("restarting", "failed"):
            self.say(click.style(f"! {name}: {state}", fg="yellow"))

    def awaiting(self, names: list[str]) -> None:
        if names:
            self.say(click.style(f"… {self._waiting}{', '.join(self._under_way(name) for name in names)}", dim=True))

    def _under_way(self, name: str) -> str:
        return _told(UNDER_WAY, name) if self._names else name

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._began:5.1f} s"


def _told(names: dict[str, str], name: str) -> str:
    kind, _, which = name.partition("-")
    return f"{names[kind]} {which}".strip() if kind in names else name


def curl_commands(url: str, token: str) -> list[str]:
    """Ready to paste."""
    bearer = f"curl -s -H 'Authorization: Bearer {token}'"
    return [
        f"{bearer} '{url}/api/v1/tables/connexions.authentifiees?window=last-month'",
        f"{bearer} '{url}/api/v1/tables/connexions.individus.csv?window=current-year'",
        f"{bearer} '{url}/api/v1/summaries/connexions?window=current-month'",
        f"{bearer} '{url}/api/v1/series/daily'",
        f"{bearer} '{url}/api/v1/series/hourly'",
        f"{bearer} '{url}/api/v1/freshness'",
    ]


def address_lines(url: str, token: str) -> list[str]:
    return [f"  API      {url}/api/v1", f"  OpenAPI  {url}/api/v1/openapi.json", f"  Jeton    {token}"]


def shows(*, everything: bool) -> Choice:
    """Which lines reach the console: those of the simulation, and of a service that has something wrong. Servers only log."""

    def shown(name: str, line: str) -> bool:
        if everything or name in ("history", "simulation"):
            return True
        return name not in SERVERS and bool(WORTH_SHOWING.search(line))

    return shown
