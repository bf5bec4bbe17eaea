"""The few requests of PRONOTE's web server that matter, told from all others, and what is kept of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from services.collector.access_log.formats import Request
    from services.collector.access_log.rules import Rules

CLIENT_BYTES = 10
"""80 bits of a keyed digest: two clients of the same two minutes never share one."""
LONGEST_ESPACE, LONGEST_TARGET = 4, 512
"""Digits and bytes; a call takes about 80. What is kept of a session is bounded by it."""
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


class Recogniser:
    """Tells pages, openings and calls from all other requests. `secret` keys the digests of clients."""

    def __init__(self, rules: Rules, secret: bytes) -> None:
        self._rules = rules
        self._secret = secret
        self._opening_call, self._opening_order = rules.opening_call.encode(), rules.opening_order.encode()
        self._with_order = frozenset(name.encode() for name in rules.calls_with_order)
        self._without_order = frozenset(name.encode() for name in rules.calls_without_order)
        page = rb"/(?:mobile\.)?(?:" + b"|".join(re.escape(name.encode()) for name in rules.pages) + rb")\.html"
        self._page = re.compile(rb"[^?]*" + page + rb"(?:\?(.*))?", re.DOTALL)
        self._names_page = re.compile(page).search
        calls = (*rules.calls_with_order, *rules.calls_without_order)
        self._calls = tuple(f"/{name}/".encode() for name in calls)
        self._beginnings = tuple({call[:LETTERS] for call in self._calls})

    def concerns(self, request: bytes) -> bool:
        """A cheap no for nearly all requests; a whole line may be given too."""
        if request[:4] != b"GET ":
            for beginning in self._beginnings:
                if beginning in request:
                    return True
        return b".html" in request and self._names_page(request) is not None

    def names_call(self, line: bytes) -> bool:
        """Whether a line names a call somewhere."""
        return any(call in line for call in self._calls)

    def call(self, request: Request) -> Call | Opening | None:
        """A session's opening or later call; None for any other request."""
        if request.method != b"POST":
            return None
        parts = request.target.partition(b"?")[0].rstrip(b"/").rsplit(b"/", 4)
        if len(parts) > 4 and parts[1] in self._with_order:  # noqa: PLR2004 - root, name, espace, number, order
            return self._ordered_call(request, *parts[1:])
        if len(parts) > 3 and parts[-3] in self._without_order:  # noqa: PLR2004 - root, name, espace, number
            _, espace, number = parts[-3:]
            if espace.isdigit() and number.isalnum() and not _is_long(request, espace):
                return Call(request.host, int(espace), number, b"")
        return None

    def _ordered_call(
        self, request: Request, name: bytes, espace: bytes, number: bytes, order: bytes
    ) -> Call | Opening | None:
        if not (espace.isdigit() and number.isalnum() and order.isalnum()) or _is_long(request, espace):
            return None
        order = order.lower()
        if request.status != b"200":
            return Call(request.host, int(espace), number, b"")
        if order == self._opening_order and name == self._opening_call:
            return self._opening(request, int(espace), number)
        return Call(request.host, int(espace), number, order)

    def _opening(self, request: Request, espace: int, number: bytes) -> Opening:
        known = self._rules.espaces.get(espace)
        return Opening(
            request.host,
            espace,
            number,
            self._client(request),
            self._rules.is_app(request.agent) or (known is not None and known.mobile),
            self._rules.is_script(request.agent),
        )

    def page(self, request: Request, uai_of: Callable[[str], str | None]) -> Page | None:
        """A page of an establishment; None for any other request."""
        found = self._page.fullmatch(request.target) if request.method == b"GET" else None
        uai = uai_of(request.host) if found else None
        return Page(uai, self._client(request), access_of(found[1] or b"")) if found and uai else None

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


def _is_long(request: Request, espace: bytes) -> bool:
    return len(espace) > LONGEST_ESPACE or len(request.target) > LONGEST_TARGET
