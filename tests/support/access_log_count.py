"""A plain second count of an access log, straight from the counting rules (rules.md 4), sharing no code with the product.

It takes the requests of one establishment in order of time, keeps everything and is slow; where a rule leaves doubt, a
comment that starts with "Doubt:" says which reading was taken.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta

from tests.support.access_logs import OPENING, Hit

PROFILES = {
    "eleve": {3, 6, 23, 24},
    "responsable": {2, 7, 20, 22},
    "accompagnant": {25, 26, 27, 28},
    "enseignant": {1, 8, 19, 21},
    "personnel": {13, 14, 16, 17, 31, 32, 37, 38},
}
OUTSIDE = {4, 5, 18, 29, 30, 33, 34, 35, 36, 39, 0, 9, 15}
MOBILE = {6, 7, 8, 9, 14, 17, 21, 22, 24, 26, 28, 30, 32, 34, 36, 38, 39}
PAGE = re.compile(
    r"GET /.*?(mobile\.)?(direction|professeur|viescolaire|parent|accompagnant|eleve|entreprise|academie|inscription)"
    r"\.html(\?\S*)? HTTP"
)
CALL = re.compile(r"POST /\S*?(appelfonction|appelpolling|uploadfilesession)/(\d+)/(\d+)(?:/(\w+))? HTTP")

Connection = tuple[datetime, str, str, str]
"""Instant, profile, channel, access."""


def count(hits: list[Hit], *, cas: bool = True) -> tuple[Counter[Connection], Counter[str]]:
    """Connections and named counters of one establishment's requests, all on its own hosts."""
    ordered = sorted(hits, key=lambda hit: (hit.at, _rank(hit)))
    connections: Counter[Connection] = Counter()
    reasons: Counter[str] = Counter()
    for session in _sessions(ordered, reasons):
        _judge(session, ordered, cas, connections, reasons)
    return connections, reasons


def _rank(hit: Hit) -> int:
    return 0 if PAGE.match(hit.request) else 1 if _is_opening(hit) else 2


def _is_opening(hit: Hit) -> bool:
    found = CALL.match(hit.request)
    return bool(found and found[1] == "appelfonction" and found[4] == OPENING and hit.status == 200)


def _sessions(ordered: list[Hit], reasons: Counter[str]) -> list[list[Hit]]:
    """Every session as its lines, the opening first."""
    found: list[list[Hit]] = []
    current: dict[tuple[str, str, str], list[Hit]] = {}
    seen = set()
    for hit in ordered:
        call = CALL.match(hit.request)
        if not call:
            continue
        key = (hit.host, call[2], call[3])
        if _is_opening(hit):
            if (key, hit.at, hit.address, hit.agent) in seen:
                continue
            seen.add((key, hit.at, hit.address, hit.agent))
            current[key] = [hit]
            found.append(current[key])
        elif key in current and hit.at - current[key][-1].at <= timedelta(hours=2):
            current[key].append(hit)
        else:
            reasons["call_without_session"] += 1
            current.pop(key, None)
    return found


def _judge(
    session: list[Hit], ordered: list[Hit], cas: bool, connections: Counter[Connection], reasons: Counter[str]
) -> None:
    first = session[0]
    call = CALL.match(first.request)
    assert call
    espace = int(call[2])
    # Doubt: any call that has an order counts, appelpolling too: "4 or more distinct orders" of what the session takes.
    orders = {found[4] for hit in session if hit.status == 200 and (found := CALL.match(hit.request)) and found[4]}
    profile = next((profile for profile, espaces in PROFILES.items() if espace in espaces), "")
    if _is_script(first.agent):
        reasons["script"] += 1
    elif len(orders) < 4:
        reasons["opened_not_authenticated"] += 1
    elif espace in OUTSIDE:
        reasons["outside_profiles"] += 1
    elif not profile:
        reasons["unknown_espace"] += 1
    else:
        channel = "mobile" if espace in MOBILE or "PRONOTE Mobile APP" in first.agent else "web"
        connections[first.at, profile, channel, _access(first, ordered, cas)] += 1


def _is_script(agent: str) -> bool:
    app_elsewhere = "PRONOTE Mobile APP" in agent and ("X11" in agent or "Windows NT" in agent)
    return app_elsewhere or any(name in agent for name in ("python-requests", "pronotepy", "aiohttp", "curl"))


def _access(first: Hit, ordered: list[Hit], cas: bool) -> str:
    """The latest page of the client that no earlier opening of the client has used up."""
    mine = [hit for hit in ordered if (hit.address, hit.agent) == (first.address, first.agent)]
    before = mine[: next(place for place, hit in enumerate(mine) if hit is first)]
    used = max((place for place, hit in enumerate(before) if _is_opening(hit)), default=-1)
    pages = [hit for hit in before[used + 1 :] if _rank(hit) == 0 and first.at - hit.at <= timedelta(seconds=120)]
    query = pages[-1].request.split()[1].partition("?")[2].split("&") if pages else []
    if any(part.startswith("ticket=ST-") or re.fullmatch(r"identifiant=[0-9A-Za-z]{16}", part) for part in query):
        return "ent"
    return "direct" if "login=true" in query or not cas else "unknown"
