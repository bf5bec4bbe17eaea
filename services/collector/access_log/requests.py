"""The few requests of PRONOTE's web server that matter, told from all others, and what is kept of each."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from services.collector.access_log.formats import ANSWERED, LONGEST_LINE, PLAIN, PLAIN_PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from services.collector.access_log.formats import Request
    from services.collector.access_log.rules import Espace, Rules

CLIENT_BYTES = 10
"""80 bits of a keyed digest: two clients of the same two minutes never share one."""
LONGEST_ESPACE, LONGEST_TARGET = 4, 512
"""Digits and bytes; a call takes about 80. What is kept of a session is bounded by it."""
MOST_PATHS = 8192
"""Sessions whose path is remembered, some 2 MB: those of which a call is read again and again."""
LETTERS = 6
"""Of a call's name that are rare enough in other paths to be looked for; two of the calls share them."""


class Page(msgspec.Struct, gc=False, array_like=True):
    """A page asked for by a client of an establishment; `access` is '' when the page says nothing of it."""

    uai: str
    client: bytes
    access: str


class Opening(msgspec.Struct, gc=False, array_like=True):
    """A session's first call; with what is needed to say whose it is and by which channel."""

    host: str
    espace: int
    number: bytes
    client: bytes
    mobile: bool
    script: bool


class Call(msgspec.Struct, gc=False, array_like=True):
    """A later call; `order` is empty when it was not answered 200, or has none."""

    host: str
    espace: int
    number: bytes
    order: bytes


class Needles:
    """What every request that matters holds, in whatever year: a cheap no for nearly all lines."""

    def __init__(self, years: Iterable[Rules]) -> None:
        rules = tuple(years)
        names = dict.fromkeys(name for each in rules for name in (*each.calls_with_order, *each.calls_without_order))
        self._calls = tuple(f"/{name}/".encode() for name in names)
        self._beginnings = tuple({call[:LETTERS] for call in self._calls})
        self._page = re.compile(_any_page({page for each in rules for page in each.pages})).search

    def in_get(self, line: bytes, start: int, end: int) -> bool:
        """Whether a GET, between two places of a line, may matter."""
        return self._page(line, start, end) is not None

    def in_other(self, line: bytes, start: int, end: int) -> bool:
        """Whether any other request, or what no request is known in, may."""
        for beginning in self._beginnings:
            if line.find(beginning, start, end) >= 0:
                return True
        return line.find(b".html", start, end) >= 0 and self._page(line, start, end) is not None

    def names_call(self, line: bytes) -> bool:
        """Whether a line names a call somewhere."""
        return any(call in line for call in self._calls)


class Recogniser:
    """Tells pages, openings and calls of one PRONOTE year from all other requests. `secret` keys the digests of clients."""

    def __init__(self, rules: Rules, espaces: Mapping[int, Espace], secret: bytes) -> None:
        self._rules, self._espaces = rules, espaces
        self._secret = secret
        self._opening_call, self._opening_order = rules.opening_call.encode(), rules.opening_order.encode()
        self._with_order = frozenset(name.encode() for name in rules.calls_with_order)
        self._without_order = frozenset(name.encode() for name in rules.calls_without_order)
        self._page = re.compile(rb"[^?]*" + _any_page(rules.pages) + rb"(?:\?(.*))?", re.DOTALL)
        self._session_of = lru_cache(MOST_PATHS)(self._read_path)
        names = b"|".join(re.escape(name) for name in sorted(self._with_order))
        self._usual_call = re.compile(
            rb'"POST ([%b]{0,300}?/(?:%b)/\d{1,4}/[0-9A-Za-z]{1,99}+)/([0-9A-Za-z]{1,99}+) [ %b]*+%b[ %b]*+"'
            % (PLAIN_PATH, names, PLAIN, ANSWERED, PLAIN)
        ).match

    def later_call(self, line: bytes, quote: int) -> tuple[int, bytes, bytes] | None:
        """Espace, session and order of the later call that a combined line, with its first quote at `quote`, usually tells of.

        Half of what matters in a log is that, and no client has to be known for it. None for whatever else it may be, or
        where anything is unusual: `call` decides.
        """
        found = self._usual_call(line, quote)
        if not found or len(line) > LONGEST_LINE:
            return None
        path, order, status = found.groups()
        espace, number, opens = self._session_of(path)
        order = order.lower()
        if espace is None or (opens and order == self._opening_order):
            return None
        return espace, number, order if status == b"200" else b""

    def call(self, request: Request) -> Call | Opening | None:
        """A session's opening or later call; None for any other request."""
        target = request.target
        if request.method != b"POST" or len(target) > LONGEST_TARGET:
            return None
        if b"?" in target:
            target = target[: target.find(b"?")]
        path, _, last = target.rstrip(b"/").rpartition(b"/")
        espace, number, opens = self._session_of(path)
        if espace is None:
            return self._call_without_order(request.host, path, last)
        if not last.isalnum():
            return None
        if request.status != b"200":
            return Call(request.host, espace, number, b"")
        order = last.lower()
        if opens and order == self._opening_order:
            return self._opening(request, espace, number)
        return Call(request.host, espace, number, order)

    def _read_path(self, path: bytes) -> tuple[int | None, bytes, bool]:
        """Espace, session and whether it may be opened, of what stands before an order; each session's is read once."""
        name, espace, number = _last_three(path)
        if name in self._with_order and _is_espace(espace) and number.isalnum():
            return int(espace), number, name == self._opening_call
        return None, b"", False

    def _call_without_order(self, host: str, path: bytes, number: bytes) -> Call | None:
        with_order, name, espace = _last_three(path)
        if with_order in self._with_order or name not in self._without_order:
            return None
        return Call(host, int(espace), number, b"") if _is_espace(espace) and number.isalnum() else None

    def _opening(self, request: Request, espace: int, number: bytes) -> Opening:
        known = self._espaces.get(espace)
        return Opening(
            request.host,
            espace,
            number,
            self._client(request),
            self._rules.is_app(request.agent) or (known is not None and known.mobile),
            self._rules.is_script(request.agent),
        )

    def page(self, request: Request, uai: str) -> Page | None:
        """A page of an establishment; None for any other request."""
        found = self._page.fullmatch(request.target) if request.method == b"GET" else None
        return Page(uai, self._client(request), access_of(found[1] or b"")) if found else None

    def _client(self, request: Request) -> bytes:
        """Address and user agent, as a keyed digest: all that is ever kept of them."""
        return blake2b(request.address + b"\0" + request.agent, key=self._secret, digest_size=CLIENT_BYTES).digest()


_ENT = re.compile(rb"(?:^|&)(?:ticket=ST-|identifiant=[0-9A-Za-z]{16}(?:&|$))")
_DIRECT = re.compile(rb"(?:^|&)login=true(?:&|$)")


def access_of(query: bytes) -> str:
    """What a page's query string says of the way in: `ent`, `direct` or '' (nothing)."""
    if _ENT.search(query):
        return "ent"
    return "direct" if _DIRECT.search(query) else ""


def _any_page(names: Iterable[str]) -> bytes:
    return rb"/(?:mobile\.)?(?:" + b"|".join(re.escape(name.encode()) for name in sorted(names)) + rb")\.html"


def _last_three(path: bytes) -> tuple[bytes, bytes, bytes]:
    """The last three parts of a path, each behind a slash; empty where there are fewer."""
    _, *parts = path.rsplit(b"/", 3)
    first, second, third = (*(b"",) * (3 - len(parts)), *parts)
    return first, second, third


def _is_espace(written: bytes) -> bool:
    return written.isdigit() and len(written) <= LONGEST_ESPACE
