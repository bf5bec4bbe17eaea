"""An access log as a stream of facts: lines in, facts out, and a state to be stored with the position that was read."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from services.collector.access_log.facts import Fact, SetAside
from services.collector.access_log.formats import (
    COMBINED_PARTS,
    FIELDS,
    LONGEST_LINE,
    Columns,
    Request,
    read_columns,
    read_parts,
    read_request,
)
from services.collector.access_log.places import Establishment, Places
from services.collector.access_log.reorder import ReorderBuffer, Second
from services.collector.access_log.requests import Call, Opening, Recogniser
from services.collector.access_log.rules import REORDERED, Rules, load_rules
from services.collector.access_log.sessions import Sessions, SessionsState
from services.collector.access_log.stamps import instant_of, of_combined
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

    Session numbers and orders stand in it as the log has them: they say nothing without the server's own memory.
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
        rules: Rules | None = None,
    ) -> None:
        rules = rules or load_rules()
        restored = State() if state is None else _restored(state)
        self._host_first = host_first
        self._recogniser = Recogniser(rules, secret)
        self._places = Places(establishments, rules.hosted_domain)
        self._sessions = Sessions(rules, self._places, restored.sessions)
        self._buffer = ReorderBuffer(restored.waiting)
        self._newest = restored.newest
        self.accepted: dict[str, tuple[int, int]] = {}
        """First and last instants of the pages and calls of each establishment, since whoever reads them last cleared them."""
        self._columns = restored.columns

    def read(self, lines: Iterable[bytes], *, file: str, now: float) -> list[Fact]:
        """Read on: whole lines of one file, in its order; what they say, and what leaves the reorder buffer because of them.

        `file` names the file as long as it is read on, renamed or not; `now` is the business instant, a UTC timestamp.
        """
        facts: list[Fact] = []
        buffer, concerns, host_first = self._buffer, self._recogniser.concerns, self._host_first
        newest, furthest = self._newest, int(now) + FUTURE
        for line in lines:
            # Nearly every line is of no interest and must cost next to nothing: no regular expression before this is known.
            parts = line.split(b'"', COMBINED_PARTS - 1)
            at = of_combined(parts[0][-28:-2])
            if at is None or len(parts) == 1:
                at = self._read_other(line, file, furthest, facts)
            elif (parts[1][:4] != b"GET " or b".html" in parts[1]) and concerns(parts[1]):
                usual = len(parts) == COMBINED_PARTS and len(line) <= LONGEST_LINE
                request = read_parts(at, parts, host_first=host_first) if usual else None
                at = self._take(line, request, file, furthest, facts)
            if at is not None and newest < at <= furthest:
                newest = self._newest = at
            if buffer.first <= newest - REORDERED:
                self._understand(newest - REORDERED, facts)
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
        """A line that does not look combined: the whole of it has to be searched. Returns its instant."""
        if self._recogniser.concerns(line):
            return self._take(line, None, file, furthest, facts)
        if line[:1] == b"#":
            self._direct(line, file)
        return instant_of(line)

    def _take(self, line: bytes, request: Request | None, file: str, furthest: int, facts: list[Fact]) -> int | None:
        """Put a line that may matter in the buffer; its instant, unless it must not move the buffer."""
        request = request or read_request(line, host_first=self._host_first, columns=self._columns.get(file))
        if request is None:
            # A page that cannot be read is nothing: other sites have such pages too.
            if self._recogniser.names_call(line):
                facts.append(SetAside("unreadable"))
            return None
        found = self._recogniser.call(request) or self._recogniser.page(request, self._uai_of)
        place = self._places.of(request.host)
        if request.at > furthest:
            if place and isinstance(found, Call | Opening):
                facts.append(SetAside("future", request.at, place.uai, request.host))
            return None
        if found and place:
            first, last = self.accepted.get(place.uai, (request.at, request.at))
            self.accepted[place.uai] = min(first, request.at), max(last, request.at)
        if isinstance(found, Opening) or (found and place):
            self._buffer.add(request.at, found)
        return request.at

    def _uai_of(self, host: str) -> str | None:
        place = self._places.of(host)
        return place.uai if place else None

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
