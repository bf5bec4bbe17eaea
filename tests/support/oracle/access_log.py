"""The access-log source of one establishment, read as a journal of connections that name nobody (rules.md 4)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.support.access_log_count import CALL, PAGE, count
from tests.support.access_logs import OPENING, Hit
from tests.support.oracle.journal import Connection, Journal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.oracle.territory import Establishment


def read_access_log(establishment: Establishment) -> Journal:
    """Connections, named counters, and the first instant at which the establishment's own PRONOTE was asked for anything."""
    found = Journal()
    hits = [_hit(json.loads(line)) for path in establishment.access_log for line in _lines(path)]
    mine = [hit for hit in hits if hit.host in establishment.hosts]
    connections, found.set_aside = count(mine, cas=establishment.cas)
    for (at, profile, channel, access), number in connections.items():
        day = at.astimezone(establishment.zone).date()
        found.connections += [Connection(at, day, profile, channel, access, "", frozenset())] * number
    foreign = {_opening(hit) for hit in hits if hit.host not in establishment.hosts_of_log} - {None}
    found.set_aside["other_host"] = len(foreign)
    found.set_aside = +found.set_aside
    found.earliest = min((hit.at for hit in mine if PAGE.match(hit.request) or CALL.match(hit.request)), default=None)
    return found


def _lines(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().split(b"\n") if line.strip()]


def _hit(line: dict[str, Any]) -> Hit:
    at = datetime.fromisoformat(line["time_iso8601"])
    return Hit(at, line["request"], line["host"], line["remote_addr"], int(line["status"]), line["http_user_agent"])


def _opening(hit: Hit) -> tuple[object, ...] | None:
    """The same second and the same client again is the same line."""
    call = CALL.match(hit.request)
    if not call or call[4] != OPENING or hit.status != 200:
        return None
    return hit.host, call[2], call[3], hit.at, hit.address, hit.agent
