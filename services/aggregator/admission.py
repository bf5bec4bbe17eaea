"""What becomes of each message: merged, parked, refused or dead-lettered, and why. Pure: registry, clock and records are arguments."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import structlog

from contracts.catalogue import CATALOGUE, GRAINS, Grain
from contracts.packed import pack, unpack
from contracts.periods import BadStartError, next_start, parse_hour, parse_start
from contracts.signing import AGENT_HEADER, SIGNATURE_HEADER, verify
from contracts.uai import InvalidUaiError, parse_uai
from contracts.usage_reported import MAX_COUNT, MalformedMessageError, Report, UsageReported, decode, encode, validate
from services.aggregator import metrics
from services.aggregator.cells import Ints, pack_runs
from services.aggregator.errors import DeadLetterError, RefusedError
from services.aggregator.keeping import Horizon, horizon
from services.aggregator.merge import Key, State
from services.aggregator.registry import Directory
from services.aggregator.sheet import FAMILY_OF_CODE

HOUR = GRAINS.index("hour")
NOBODY = ""
"""Counted under no agent: the sender claims none that the registry knows."""

_FAMILIES = {family.name: (family.number, frozenset(family.grains)) for family in CATALOGUE.families.values()}
_GRAIN_NUMBER = {grain: number for number, grain in enumerate(GRAINS)}
_CODE_LIMIT = 1 << 16
_RESTATEMENT_LIMIT = 1 << 40
_CATALOGUE_LIMIT = 1 << 31
_FAMILY_NAME = re.compile(r"[a-z0-9._-]{1,64}", re.ASCII)

log = structlog.get_logger()


class Record(Protocol):
    """What is read of an aiokafka ConsumerRecord; `timestamp` is the append time in ms."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Place(NamedTuple):
    """A report's start: UTC seconds of an hour, else the ordinal of its first day; and its local days, ordinals, both included."""

    start: int
    first: int
    last: int


class ParkedKey(NamedTuple):
    """`start` as reported."""

    agent: str
    uai: str
    family: str
    grain: int
    start: str


class Parked(NamedTuple):
    """A report that waits: `cause` is outside_grants or newer_catalogue."""

    key: ParkedKey
    state: State
    cause: str
    catalogue: int


class DeadLetter(NamedTuple):
    """`vouched`: a valid signature says that `agent` really sent it."""

    record: Record
    agent: str
    code: str
    detail: str
    vouched: bool


@lru_cache(maxsize=65536)
def place(grain: Grain, start: str) -> Place:
    """Read a report's `start`; BadStartError when it is none of its grain."""
    if grain == "hour":
        instant = parse_hour(start)
        day = instant.date().toordinal()
        return Place(int(instant.timestamp()), day, day)
    first = parse_start(grain, start)
    try:
        return Place(first.toordinal(), first.toordinal(), next_start(grain, first).toordinal() - 1)
    except (ValueError, OverflowError):
        raise BadStartError(f"{start!r} is beyond the calendar") from None


class Docket:
    """The verdicts on one flush. Accepted reports are kept as columns; their cells as two flat arrays."""

    def __init__(self, directory: Directory, numbers: Mapping[str, int], now: datetime) -> None:
        self._directory = directory
        self._numbers = numbers
        self._now = now
        self._keys: list[Key] = []
        self._headers: list[tuple[int, bool, int]] = []
        self._sizes: list[int] = []
        self._codes = array("q")
        self._counts = array("q")
        self._origins: list[tuple[int, int]] = []
        self._records: Sequence[Record] = ()
        self.parked: list[Parked] = []
        self.dead: list[DeadLetter] = []
        self.outcomes: Counter[tuple[str, str, str]] = Counter()
        self.unknown = False
        """Something was met that a newer registry might know."""

    def judge(self, records: Sequence[Record]) -> list[tuple[Key, State]]:
        """Judge each record; the reports to merge."""
        self._records = records
        for index, record in enumerate(records):
            self._judge(index, record)
        accepted = self._accepted()
        for letter in self.dead:
            self.outcomes[letter.agent, metrics.DEAD_LETTERED, letter.code] += 1
        return accepted

    def reconsider(self, parked: Sequence[Parked]) -> list[tuple[Key, State]]:
        """Judge parked reports again (their signature was checked when they came); those that must wait on are in `parked`."""
        records = [_Waiting.of(report) for report in parked]
        self._records = records
        for index, record in enumerate(records):
            try:
                message = decode(record.value)
                if not self._directory.refusal(message.uai, self._now):
                    self._judge_report(message, message.reports[0], record, (index, 0))
                    continue
            except Exception:  # it could be judged when it came: most likely the registry has lost its agent's key
                log.exception("A parked report broke its checks and waits on; see that its agent is registered")
            self.parked.append(parked[index])
        return self._accepted()

    def _judge(self, index: int, record: Record) -> None:
        claimed = _claimed_agent(record)
        agent = claimed if claimed in self._directory.keys else NOBODY
        vouched = False
        try:
            self._authenticate(claimed, record)
            vouched = True
            message = self._read(agent, record)
            for number, report in enumerate(message.reports):
                self._judge_report(message, report, record, (index, number))
        except (DeadLetterError, MalformedMessageError) as error:
            self._bury(DeadLetter(record, agent, error.code, str(error), vouched))
        except RefusedError as error:
            self.unknown |= error.code != "convention_ended"
            self.outcomes[agent, metrics.REFUSED, error.code] += 1
        except Exception as error:  # whatever it is, one message must not stop a partition
            log.exception("A message broke its checks; look at its dead letter", offset=record.offset)
            self._bury(DeadLetter(record, agent, "unexpected", repr(error), vouched))

    def _authenticate(self, agent: str, record: Record) -> None:
        """Raise unless a key of `agent`, valid when Kafka appended the record, signed it."""
        if not agent:
            raise DeadLetterError("no_agent", "no agent header")
        if agent not in self._directory.keys:
            self.unknown = True
            raise DeadLetterError("unknown_agent", f"no agent {agent[:80]!r}")
        signature = dict(record.headers).get(SIGNATURE_HEADER)
        if not signature:
            raise DeadLetterError("no_signature", "no signature header")
        appended = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        keys = self._directory.public_keys(agent, appended)
        if not any(verify(key, signature, record.value or b"") for key in keys):
            self.unknown = True
            raise DeadLetterError("bad_signature" if keys else "no_valid_key", f"{len(keys)} keys were valid")

    def _read(self, agent: str, record: Record) -> UsageReported:
        message = decode(record.value or b"")
        if message.agent != agent:
            raise DeadLetterError("agent_mismatch", "the header and the message name two agents")
        if record.key != message.uai.encode("utf-8", "replace"):
            raise DeadLetterError("key_mismatch", "the key is not the establishment")
        _check_uai(message.uai)
        if not 0 < message.catalogue < _CATALOGUE_LIMIT:
            raise DeadLetterError("bad_catalogue", f"{message.catalogue} is no catalogue version")
        if refusal := self._directory.refusal(message.uai, self._now):
            raise RefusedError(refusal)
        return message

    def _judge_report(self, message: UsageReported, report: Report, record: Record, origin: tuple[int, int]) -> None:
        """Sort one report into its outcome; a malformed one raises only after the others had their turn."""
        try:
            if not 0 <= report.restatement < _RESTATEMENT_LIMIT:
                raise MalformedMessageError("bad_restatement", f"{report.restatement} is no UTC second")  # noqa: TRY301 - buried below
            if message.catalogue > CATALOGUE.version:
                self._park(message, report, record, "newer_catalogue")
            else:
                self._judge_place(message, report, record, origin)
        except (MalformedMessageError, BadStartError) as error:
            self._bury(DeadLetter(record, message.agent, error.code, str(error), vouched=True))

    def _judge_place(self, message: UsageReported, report: Report, record: Record, origin: tuple[int, int]) -> None:
        family, grains = _FAMILIES.get(report.family, (-1, frozenset()))
        if report.grain not in grains:
            validate(report)
        where = place(report.grain, report.start)
        grain = _GRAIN_NUMBER[report.grain]
        if cause := self._outside_horizon(message, grain, where):
            self.outcomes[message.agent, *cause] += 1
        elif not self._directory.granted(message.agent, message.uai, report.family, where.first, where.last):
            self.unknown = True
            self._park(message, report, record, "outside_grants")
        else:
            self._accept(
                Key(message.uai, family, grain, where.start, self._numbers[message.agent]), report, record, origin
            )

    def _outside_horizon(self, message: UsageReported, grain: int, where: Place) -> tuple[str, str] | None:
        span = horizon(self._now, self._directory.zones[message.uai])
        if outcome := outside(span, grain, where):
            return outcome
        if where.start > span.now if grain == HOUR else where.first > span.today:
            self.outcomes[message.agent, metrics.FLAGGED, "skew"] += 1
        return None

    def _accept(self, key: Key, report: Report, record: Record, origin: tuple[int, int]) -> None:
        size = len(report.cells)
        if size != len(report.counts):
            validate(report)
        try:
            codes, counts = array("q", report.cells), array("q", report.counts)
        except OverflowError:
            validate(report)
            raise
        self._codes += codes
        self._counts += counts
        self._sizes.append(size)
        self._keys.append(key)
        self._headers.append((report.restatement, report.cut, record.timestamp))
        self._origins.append(origin)

    def _park(self, message: UsageReported, report: Report, record: Record, cause: str) -> None:
        if cause == "newer_catalogue":
            check_cells(report)
        else:
            validate(report)
        place(report.grain, report.start)
        key = ParkedKey(message.agent, message.uai, report.family, _GRAIN_NUMBER[report.grain], report.start)
        state = State(report.restatement, report.cut, record.timestamp, pack(report.cells, report.counts))
        self.parked.append(Parked(key, state, cause, message.catalogue))
        self.outcomes[message.agent, metrics.PARKED, cause] += 1

    def _bury(self, letter: DeadLetter) -> None:
        """One letter a message, named for its first fault."""
        if not self.dead or self.dead[-1].record is not letter.record:
            self.dead.append(letter)

    def _accepted(self) -> list[tuple[Key, State]]:
        codes, counts = np.array(self._codes, np.int64), np.array(self._counts, np.int64)
        families = np.array([key.family for key in self._keys], np.int64)
        sizes = np.array(self._sizes, np.int64)
        bad = misshapen(codes, counts, sizes, families)
        if bad.any():
            self._bury_misshapen(np.flatnonzero(bad).tolist())
            kept = np.repeat(~bad, sizes)
            codes, counts = codes[kept], counts[kept]
            sizes = np.where(bad, 0, sizes)
        packed = pack_runs(codes, counts, sizes)
        agents = {number: agent for agent, number in self._numbers.items()}
        accepted = [
            (key, State(*header, cells))
            for key, header, cells, wrong in zip(self._keys, self._headers, packed, bad.tolist(), strict=True)
            if not wrong
        ]
        for number, count in Counter(key.agent for key, _ in accepted).items():
            self.outcomes[agents[number], metrics.ACCEPTED, ""] += count
        return accepted

    def _bury_misshapen(self, reports: Iterable[int]) -> None:
        """Read the few messages again to name what is wrong in them."""
        buried = {id(letter.record) for letter in self.dead}
        for index in reports:
            origin, number = self._origins[index]
            record = self._records[origin]
            message = decode(record.value or b"")
            if id(record) not in buried:
                buried.add(id(record))
                code, detail = fault_of(message.reports[number])
                self.dead.append(DeadLetter(record, message.agent, code, detail, vouched=True))


class _Waiting(NamedTuple):
    """A parked report as the message it came in."""

    timestamp: int
    key: bytes
    value: bytes
    topic: str = ""
    partition: int = -1
    offset: int = -1
    headers: Sequence[tuple[str, bytes | None]] = ()

    @staticmethod
    def of(parked: Parked) -> _Waiting:
        key, state = parked.key, parked.state
        codes, counts = unpack(state.cells)
        report = Report(
            key.family, GRAINS[key.grain], key.start, codes.tolist(), counts.tolist(), state.restatement, state.cut
        )
        message = UsageReported(key.agent, key.uai, parked.catalogue, [report])
        return _Waiting(state.as_of, key.uai.encode(), encode(message))


def _claimed_agent(record: Record) -> str:
    return (dict(record.headers).get(AGENT_HEADER) or b"").decode("utf-8", "replace")


def _check_uai(uai: str) -> None:
    try:
        parsed = parse_uai(uai)
    except InvalidUaiError as error:
        raise DeadLetterError(error.code, str(error)) from error
    if parsed != uai:
        raise DeadLetterError(InvalidUaiError.code, f"{uai!r} is not written as a UAI is")


def outside(span: Horizon, grain: int, where: Place) -> tuple[str, str] | None:
    """The outcome of a report that is too old or too far ahead; None for the others."""
    if where.first < span.floors[grain]:
        return metrics.EXPIRED, GRAINS[grain]
    if where.start > span.last_instant if grain == HOUR else where.first > span.last_day:
        return metrics.REFUSED, "future"
    return None


def misshapen(codes: Ints, counts: Ints, sizes: Ints, families: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which reports have cells that are unsorted, repeated, of another family, or counts out of range: `validate`, all at once."""
    reports = np.repeat(np.arange(len(sizes)), sizes)
    wrong = (counts < 0) | (counts > MAX_COUNT) | (codes < 0) | (codes >= _CODE_LIMIT)
    wrong |= FAMILY_OF_CODE[np.clip(codes, 0, _CODE_LIMIT - 1)] != families[reports]
    wrong[1:] |= (codes[1:] <= codes[:-1]) & (reports[1:] == reports[:-1])
    return np.bincount(reports[wrong], minlength=len(sizes)) > 0


def fault_of(report: Report) -> tuple[str, str]:
    """The name of what `validate` finds wrong."""
    try:
        validate(report)
    except MalformedMessageError as error:
        return error.code, str(error)
    return "malformed", "its cells are not as the catalogue says"


def check_cells(report: Report) -> None:
    """What can be checked of a report whose catalogue we do not know yet; MalformedMessageError names the fault."""
    cells, counts = report.cells, report.counts
    if not _FAMILY_NAME.fullmatch(report.family):
        raise MalformedMessageError("unknown_family", "a family's name has other letters")
    if len(cells) != len(counts):
        raise MalformedMessageError("lengths_differ", f"{len(cells)} cells, {len(counts)} counts")
    if any(left >= right for left, right in pairwise(cells)):
        raise MalformedMessageError("cells_not_ascending", "cells are not sorted and distinct")
    if cells and not (cells[0] >= 0 and cells[-1] < _CODE_LIMIT):
        raise MalformedMessageError("cell_not_in_family", "a cell code is out of range")
    if counts and not (min(counts) >= 0 and max(counts) <= MAX_COUNT):
        raise MalformedMessageError("bad_count", "a count is negative or beyond measure")
