"""An access log as a stream of facts: lines in, facts out, and a state to be stored with the position that was read."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from services.collector.access_log.facts import Fact, SetAside
from services.collector.access_log.formats import (
    BOM,
    FIELDS,
    STAMPED,
    Columns,
    Request,
    client_of,
    read_columns,
    read_request,
    read_usual,
)
from services.collector.access_log.places import Establishment, Places
from services.collector.access_log.reorder import ReorderBuffer, Second
from services.collector.access_log.requests import Call, Needles, Opening, Page, Recogniser
from services.collector.access_log.rules import REORDERED, Years, load_years
from services.collector.access_log.sessions import Sessions, SessionsState
from services.collector.access_log.stamps import instant_of, of_front
from services.collector.errors import CollectorError

FUTURE = 86_400
"""Seconds (rules.md 3): a line further ahead of the business clock is set aside, and does not move the reorder buffer."""
STATE_VERSION = 1
MOST_FILES = 1024
"""IIS files whose columns are remembered; one that was last read so many files ago will not be read on."""


class UnreadableStateError(CollectorError):
    """The stored state is no state of this version: the source has to be read again from its start."""

    code = "unreadable_access_log_state"


class State(msgspec.Struct, array_like=True):
    """All that is kept between two readings. Addresses and user agents are in it as keyed digests, for two minutes or so.

    Session numbers stand in it as the log has them: they say nothing without the server's own memory.
    """

    version: int = STATE_VERSION
    newest: int = 0
    waiting: dict[int, Second] = {}
    sessions: SessionsState = msgspec.field(default_factory=SessionsState)
    columns: dict[str, Columns | None] = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(State)


class AccessLog:
    """One source: all the files of one log, read together. No I/O; time is an argument.

    `establishments`: whose log it is; `secret`: the agent's own, 16 to 64 bytes; `state`: what `state()` gave, or None at the
    beginning. Facts depend on the lines and their order only: how they are cut into readings, and whether the state was
    stored and restored in between, changes nothing.
    """

    def __init__(
        self,
        establishments: Iterable[Establishment],
        secret: bytes,
        *,
        host_first: bool = False,
        state: bytes | None = None,
        years: Years | None = None,
    ) -> None:
        restored = State() if state is None else _restored(state)
        self._host_first = host_first
        self._years = years or load_years()
        self._needles = Needles(self._years.every)
        self._recognisers = {
            rules.year: Recogniser(rules, self._years.espaces[rules.year], secret) for rules in self._years.every
        }
        self._recogniser = self._recognisers[self._years.every[-1].year]
        self._from, self._until = self._years.span(math.inf)
        self._places = Places(establishments, {rules.hosted_domain for rules in self._years.every})
        self._sessions = Sessions(self._years, self._places, restored.sessions)
        self._buffer = ReorderBuffer(restored.waiting)
        self._newest = restored.newest
        self.accepted: dict[str, tuple[int, int]] = {}
        """First and last instants of the pages and calls of each establishment, since whoever reads them last cleared them."""
        self._columns = restored.columns

    def read(self, lines: Iterable[bytes], *, file: str, now: float) -> list[Fact]:
        """Read on: whole lines of one file, in its order; what they say, and what leaves the reorder buffer because of them.

        `file` names the file as long as it is read on, renamed or not; `now` is the business instant, a UTC timestamp.
        Nearly every line is of no interest: it moves the buffer on and must cost next to nothing else, so that a pattern, or
        a piece of it, is only made of what may matter, and what stands in this loop is not worth a call.
        """
        facts: list[Fact] = []
        buffer, needles, newest = self._buffer, self._needles, self._newest
        furthest, limit = int(now) + FUTURE, newest - REORDERED
        stamp, instant = b"", None
        for line in filter(None, lines):
            quote = line.find(b'"')
            written = line[quote - STAMPED : quote]
            if written != stamp:
                stamp, instant = written, of_front(written)
            at = instant
            if at is None or quote < STAMPED:
                at = self._read_other(line, file, furthest, facts)
            else:
                start, end = quote + 1, line.find(b'"', quote + 1)
                end = len(line) if end < 0 else end
                if line[start : start + 4] == b"GET ":
                    matters = line.find(b".html", start, end) >= 0 and needles.in_get(line, start, end)
                elif at <= furthest and self._take_later_call(line, quote, at):
                    matters = False
                else:
                    matters = needles.in_other(line, start, end)
                if matters:
                    request = read_usual(line, quote, at, host_first=self._host_first)
                    at = self._take(line, request, file, furthest, facts)
            if at is not None and newest < at <= furthest:
                newest, limit = at, at - REORDERED
            if buffer.first <= limit:
                self._understand(limit, facts)
        self._newest = newest
        return facts

    def flush(self) -> list[Fact]:
        """Empty the reorder buffer: after 60 s at the end of the files, or at once with `--until-idle`."""
        facts: list[Fact] = []
        self._understand(math.inf, facts)
        return facts

    @property
    def waiting(self) -> bool:
        """Whether the reorder buffer holds anything, so that `flush` would say something."""
        return bool(self._buffer.seconds)

    def state(self) -> bytes:
        """What has to be stored, in the transaction that stores the facts and the position."""
        state = State(STATE_VERSION, self._newest, self._buffer.seconds, self._sessions.state(), self._columns)
        return _encoder.encode(state)

    def _read_other(self, line: bytes, file: str, furthest: int, facts: list[Fact]) -> int | None:
        """A line that does not look combined: the whole of it has to be searched. Returns its instant; one in no format says none."""
        if self._needles.in_other(line, 0, len(line)):
            return self._take(line, None, file, furthest, facts)
        bare = line.removeprefix(BOM).strip()
        if bare.startswith(b"#"):
            self._direct(bare, file)
            return None
        at = instant_of(bare)
        if at is None and bare and not self._read(line, file):
            facts.append(SetAside("unreadable"))
        return at

    def _take(self, line: bytes, request: Request | None, file: str, furthest: int, facts: list[Fact]) -> int | None:
        """Put a line that may matter in the buffer; its instant, unless it must not move the buffer."""
        request = request or self._read(line, file)
        if request is None:
            # A page that cannot be read is nothing: other sites have such pages too.
            if self._needles.names_call(line):
                facts.append(SetAside("unreadable"))
            return None
        at, place = request.at, self._places.of(request.host)
        found = self._recognise(request, place)
        if at > furthest:
            if place and isinstance(found, Call | Opening):
                facts.append(SetAside("future", at, place.uai, request.host))
            return None
        if found and place:
            self._accept(place.uai, at)
        if found and (place or isinstance(found, Opening)):
            self._buffer.add(at, found)
        return at

    def _read(self, line: bytes, file: str) -> Request | None:
        return read_request(line, host_first=self._host_first, columns=self._columns.get(file))

    def _take_later_call(self, line: bytes, quote: int, at: int) -> bool:
        """Put a session's later call in the buffer, which is what most lines that matter are; False where it may be another."""
        found = self._recogniser_of(at).later_call(line, quote)
        front = found and client_of(line[: quote - STAMPED], self._host_first)
        if not found or not front:
            return False
        place = self._places.of(front[0])
        if place:
            self._accept(place.uai, at)
            self._buffer.add(at, Call(front[0], *found))
        return True

    def _recognise(self, request: Request, place: Establishment | None) -> Call | Opening | Page | None:
        """What a request is; a page of nobody is none."""
        recogniser = self._recogniser_of(request.at)
        found = recogniser.call(request)
        return recogniser.page(request, place.uai) if place and not found else found

    def _recogniser_of(self, at: int) -> Recogniser:
        """That of the year in force."""
        if not self._from <= at < self._until:
            self._from, self._until = self._years.span(at)
            self._recogniser = self._recognisers[self._years.at(at).year]
        return self._recogniser

    def _accept(self, uai: str, at: int) -> None:
        """A page or a call of an establishment was read."""
        known = self.accepted.get(uai)
        if known is None:
            self.accepted[uai] = (at, at)
        elif not known[0] <= at <= known[1]:
            self.accepted[uai] = (min(known[0], at), max(known[1], at))

    def _direct(self, line: bytes, file: str) -> None:
        if not line.startswith(FIELDS):
            return
        self._columns.pop(file, None)
        self._columns[file] = read_columns(line)
        if len(self._columns) > MOST_FILES:
            del self._columns[next(iter(self._columns))]

    def _understand(self, until: float, facts: list[Fact]) -> None:
        for at, second in self._buffer.leaving(until):
            self._sessions.take(at, second, facts)


def _restored(state: bytes) -> State:
    try:
        restored = _decoder.decode(state)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableStateError(str(error)) from error
    if restored.version != STATE_VERSION:
        raise UnreadableStateError(f"version {restored.version}, {STATE_VERSION} is known")
    return restored
