"""Sessions, from the lines of each second in order to facts (rules.md 4). Pure, and small enough to be stored whole."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from itertools import takewhile
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from services.collector.access_log.facts import Access, Connection, Fact, Reason, SetAside
from services.collector.access_log.rules import APART, BEFORE_OPENING

if TYPE_CHECKING:
    from services.collector.access_log.places import Places
    from services.collector.access_log.reorder import Second
    from services.collector.access_log.requests import Call, Opening, Page
    from services.collector.access_log.rules import Years

MOST_SESSIONS = 200_000
"""Sessions open at once in one source: at most some 130 MB, part of it while the state is written. The largest hosting site
stays below; a flood of openings that a server answers does not, and then the session longest without a call is closed before
its time: its later calls are without session.
"""
ORDER_BYTES = 8
"""Of a digest that stands for an order: one session's few are only told apart."""

TIDYING = 60
"""Seconds of the log's time between two looks at what is over: it may be forgotten a little later than it is over."""

Key = tuple[str, int, bytes]
"""Host, espace, session number."""


class Session(msgspec.Struct, gc=False, array_like=True):
    """An open session. `orders`: digests of those answered 200 so far, in a row; None once it is counted, as whatever it is."""

    uai: str
    opened: int
    last: int
    mobile: bool
    access: Access
    orders: bytes | None


class SessionsState(msgspec.Struct, array_like=True):
    """What has to be kept between two readings; dictionaries are written as lists, in their order, which matters."""

    reached: int = 0
    sessions: list[tuple[Key, Session]] = []
    pages: list[tuple[tuple[str, bytes], tuple[int, str]]] = []
    openings: list[tuple[tuple[Key, bytes], int]] = []


class Sessions:
    """Takes seconds in the order in which they leave the reorder buffer.

    `opened_not_authenticated` is counted when a session is over without its four orders: at a new start, or when a line of
    PRONOTE more than two hours later leaves the buffer. Only the log's own time closes a session, never the clock: a log
    that arrives late must find its sessions open. So the last ones of a log that has ended stay uncounted, which is what is
    known of them.
    """

    def __init__(self, years: Years, places: Places, state: SessionsState) -> None:
        self._years, self._places = years, places
        self._reached = state.reached
        self._sessions = dict(state.sessions)
        self._pages = dict(state.pages)
        self._openings = dict(state.openings)

    def state(self) -> SessionsState:
        return SessionsState(
            self._reached, list(self._sessions.items()), list(self._pages.items()), list(self._openings.items())
        )

    def take(self, at: int, second: Second, facts: list[Fact]) -> None:
        """Understand one second's lines; what they say is added to `facts`."""
        reached, self._reached = self._reached, max(self._reached, at)
        if reached // TIDYING < self._reached // TIDYING:
            self._forget(facts)
        pages, openings, calls = second
        for page in pages:
            self._page(at, page)
        for opening in openings:
            self._open(at, opening, facts)
        for call in calls:
            self._call(at, call, facts)

    # --- pages

    def _page(self, at: int, page: Page) -> None:
        """The latest page of a client decides and an opening uses up all of them, so the latest is all that is kept."""
        known = self._pages.pop((page.uai, page.client), None)
        self._pages[page.uai, page.client] = known if known and known[0] > at else (at, page.access)

    def _access(self, at: int, opening: Opening, uai: str, *, cas: bool) -> Access:
        found = self._pages.get((uai, opening.client))
        if found and found[0] <= at:
            del self._pages[uai, opening.client]
            if at - found[0] <= BEFORE_OPENING and found[1]:
                return "ent" if found[1] == "ent" else "direct"
        return "unknown" if cas else "direct"

    # --- sessions

    def _open(self, at: int, opening: Opening, facts: list[Fact]) -> None:
        key: Key = (opening.host, opening.espace, opening.number)
        if self._openings.get((key, opening.client)) == at:
            return  # the same line again
        self._openings[key, opening.client] = at
        place = self._places.of(opening.host)
        if place is None:
            facts.append(SetAside("other_host", at, None, opening.host))
            return
        access = self._access(at, opening, place.uai, cas=place.cas)
        session = Session(place.uai, at, at, opening.mobile, access, _digest(self._years.at(at).opening_order.encode()))
        if opening.script:
            self._settle(opening.host, session, "script", facts)
        self._start(key, session, facts)

    def _start(self, key: Key, session: Session, facts: list[Fact]) -> None:
        """A new start ends the session before it; one that comes too late to be before the open session is over at once."""
        current = self._sessions.pop(key, None)
        if current and current.opened > session.opened:
            session, current = current, session
        self._sessions[key] = session
        if current:
            self._close(key, current, facts)
        elif len(self._sessions) > MOST_SESSIONS:
            self._close_first(facts)

    def _call(self, at: int, call: Call, facts: list[Fact]) -> None:
        key: Key = (call.host, call.espace, call.number)
        session = self._sessions.pop(key, None)
        if session and at > session.last + APART:
            self._close(key, session, facts)
            session = None
        if session:
            self._sessions[key] = session
        if session is None or at < session.opened:
            self._without_session(at, call.host, facts)
            return
        session.last = max(session.last, at)
        if call.order and session.orders is not None:
            self._answered(key, session, _digest(call.order), facts)

    def _answered(self, key: Key, session: Session, order: bytes, facts: list[Fact]) -> None:
        orders = session.orders or b""
        if order in (orders[place : place + ORDER_BYTES] for place in range(0, len(orders), ORDER_BYTES)):
            return
        session.orders = orders + order
        if len(session.orders) >= ORDER_BYTES * self._years.at(session.opened).orders_to_authenticate:
            self._authenticated(key, session, facts)

    def _without_session(self, at: int, host: str, facts: list[Fact]) -> None:
        if place := self._places.of(host):
            facts.append(SetAside("call_without_session", at, place.uai, host))

    def _authenticated(self, key: Key, session: Session, facts: list[Fact]) -> None:
        espace = self._years.espace(key[1], session.opened)
        if espace is None:
            self._settle(key[0], session, "unknown_espace", facts)
        elif not espace.profile:
            self._settle(key[0], session, "outside_profiles", facts)
        else:
            channel: Literal["web", "mobile"] = "mobile" if session.mobile else "web"
            facts.append(Connection(session.opened, session.uai, key[0], espace.profile, channel, session.access))
            session.orders = None

    def _settle(self, host: str, session: Session, reason: Reason, facts: list[Fact]) -> None:
        facts.append(SetAside(reason, session.opened, session.uai, host))
        session.orders = None

    def _close(self, key: Key, session: Session, facts: list[Fact]) -> None:
        if session.orders is not None:
            self._settle(key[0], session, "opened_not_authenticated", facts)

    # --- forgetting

    def _forget(self, facts: list[Fact]) -> None:
        """Drop what no later line can need: dictionaries stand in the order of the log, so the oldest come first."""
        for key in _older(self._sessions, self._reached - APART, lambda session: session.last):
            self._close(key, self._sessions.pop(key), facts)
        for client in _older(self._pages, self._reached - BEFORE_OPENING, lambda page: page[0]):
            del self._pages[client]
        for opening in _older(self._openings, self._reached - BEFORE_OPENING, lambda at: at):
            del self._openings[opening]

    def _close_first(self, facts: list[Fact]) -> None:
        key = next(iter(self._sessions))
        self._close(key, self._sessions.pop(key), facts)


def _digest(order: bytes) -> bytes:
    return blake2b(order, digest_size=ORDER_BYTES).digest()


_K = TypeVar("_K")
_V = TypeVar("_V")


def _older(entries: dict[_K, _V], limit: int, instant: Callable[[_V], int]) -> list[_K]:
    return [key for key, _ in takewhile(lambda entry: instant(entry[1]) < limit, entries.items())]
