"""The few requests of PRONOTE's web server that matter, told from all others, and what is kept of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from services.collector.access_log.formats import Request
    from services.collector.access_log.rules import Rules

CLIENT_BYTES = 10
"""80 bits of a keyed digest: two clients of the same two minutes never share one."""
_SEGMENT = rb"[\w.~=-]{1,64}"


class Page(NamedTuple):
    """A page asked for by a client of an establishment; `access` is '' when the page says nothing of it."""

    uai: str
    client: bytes
    access: str


class Opening(NamedTuple):
    """A session's first call; with what is needed to say whose it is and by which channel."""

    host: str
    espace: int
    number: bytes
    client: bytes
    mobile: bool
    script: bool


class Call(NamedTuple):
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
        with_order, without_order = _any_of(rules.calls_with_order), _any_of(rules.calls_without_order)
        self._call = re.compile(
            rb"[^?]*/(?:(" + with_order + rb")/(\d{1,9})/(" + _SEGMENT + rb")/(" + _SEGMENT + rb")"
            rb"|(?:" + without_order + rb")/(\d{1,9})/(" + _SEGMENT + rb"))/?(?:\?.*)?",
            re.DOTALL,
        )
        page = rb"/(?:mobile\.)?(?:" + _any_of(rules.pages) + rb")\.html"
        self._page = re.compile(rb"[^?]*" + page + rb"(?:\?(.*))?", re.DOTALL)
        self._page_anywhere = re.compile(page).search
        calls = (*rules.calls_with_order, *rules.calls_without_order)
        self.call_names = tuple(call.encode() for call in calls)

    def may_be_page(self, line: bytes) -> bool:
        """A cheap no for nearly all lines that hold `.html`: in a combined line it must be in the request, not the referer."""
        end = -1 if line[:1] == b"{" else line.find(b'" ')
        if line.find(b".html", 0, end) < 0:
            return False
        return self._page_anywhere(line) is not None

    def call(self, request: Request) -> Call | Opening | None:
        """A session's opening or later call; None for any other request."""
        found = self._call.fullmatch(request.target) if request.method == b"POST" else None
        if found is None:
            return None
        name, espace, number, order, plain_espace, plain_number = found.groups()
        if name is None:
            return Call(request.host, int(plain_espace), plain_number, b"")
        order, answered = order.lower(), request.status == b"200"
        if answered and order == self._opening_order and name == self._opening_call:
            return self._opening(request, int(espace), number)
        return Call(request.host, int(espace), number, order if answered else b"")

    def _opening(self, request: Request, espace: int, number: bytes) -> Opening:
        known = self._rules.espaces.get(espace)
        return Opening(
            request.host,
            espace,
            number,
            self._client(request),
            mobile=self._rules.is_app(request.agent) or (known is not None and known.mobile),
            script=self._rules.is_script(request.agent),
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


def _any_of(names: tuple[str, ...]) -> bytes:
    return b"|".join(re.escape(name.encode()) for name in names)
