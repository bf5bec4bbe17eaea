"""What becomes of each message: merged, parked, refused or dead-lettered, and why. Pure: registry, clock and records are arguments."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import structlog

from contracts.catalogue import CATALOGUE, GRAINS, Grain
from contracts.packed import pack, unpack
from contracts.periods import BadStartError, next_start, parse_hour, parse_start
from contracts.uai import InvalidUaiError, parse_uai
from contracts.usage_reported import MalformedMessageError, Report, UsageReported, decode, encode, validate
from services.aggregator import metrics
from services.aggregator.errors import DeadLetterError, RefusedError
from services.aggregator.keeping import Horizon, horizon
from services.aggregator.periods import HOUR
from services.aggregator.registry import Directory, overlaps
from services.aggregator.reports import Period, Reports
from services.aggregator.shapes import check_cells, fault_of, misshapen
from services.aggregator.states import State
from services.aggregator.vouching import UNKNOWN, Record, claimed_agent, proofs

NOBODY = ""
"""Counted under no agent: the sender claims none that the registry knows."""

_FAMILIES = {family.name: (family.number, frozenset(family.grains)) for family in CATALOGUE.families.values()}
_GRAIN_NUMBER = {grain: number for number, grain in enumerate(GRAINS)}
_RESTATEMENT_LIMIT = 1 << 40
_CATALOGUE_LIMIT = 1 << 31
_QUARTER_S = 900

log = structlog.get_logger()


class Place(NamedTuple):
    """Where in time a report is: its local days, ordinals, both included; and how it is stored.

    `day`: ordinal of the UTC day of an hour, else of the first day; `quarter`: of an hour, see `Reports`; `instant`: of an hour,
    its UTC second.
    """

    first: int
    last: int
    day: int
    quarter: int = 0
    instant: int = 0


class Spot(NamedTuple):
    """A family and a place that the horizon allows: what the reports of all establishments of a zone share; `number` in the flush."""

    number: int
    first: int
    last: int


class Arrivals(NamedTuple):
    """The reports to merge, and the periods that their `periods` number."""

    periods: list[Period]
    reports: Reports


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
        return _place_of_hour(start)
    first = parse_start(grain, start)
    try:
        return Place(first.toordinal(), next_start(grain, first).toordinal() - 1, first.toordinal())
    except (ValueError, OverflowError):
        raise BadStartError(f"{start!r} is beyond the calendar") from None


def _place_of_hour(start: str) -> Place:
    local = parse_hour(start)
    try:
        utc = local.astimezone(UTC)
    except OverflowError:
        raise BadStartError(f"{start!r} is beyond the calendar") from None
    quarter, rest = divmod(utc.hour * 3600 + utc.minute * 60 + utc.second, _QUARTER_S)
    if rest:
        raise BadStartError(f"{start!r}: zones are whole quarters of an hour apart")
    day = local.date().toordinal()
    return Place(day, day, utc.date().toordinal(), quarter, int(utc.timestamp()))


class Docket:
    """The verdicts on one flush. Accepted reports are kept as rows of numbers; their cells as two flat arrays."""

    def __init__(self, directory: Directory, numbers: Mapping[str, int], now: datetime) -> None:
        self.directory = directory
        self._numbers = numbers
        self._now = now
        self._uais: dict[str, int] = {}
        self._known: dict[tuple[str, str, str, str], Spot] = {}
        self._spots = array("q")
        self._messages = array("q")
        self._rows = array("q")
        self._codes = array("q")
        self._counts = array("q")
        self._records: list[Record] = []
        self.parked: list[Parked] = []
        self.dead: list[DeadLetter] = []
        self.outcomes: Counter[tuple[str, str, str]] = Counter()
        self.unknown = False
        """Something was met that a newer registry might know."""

    def judge(self, records: Sequence[Record]) -> Arrivals:
        """Judge each record; the reports to merge."""
        self.hear(records, proofs(self.directory, records))
        return self.arrivals()

    def hear(self, records: Iterable[Record], failures: Iterable[Exception | None]) -> None:
        """Judge some records whose signatures were checked (`vouching.proofs`)."""
        for record, failure in zip(records, failures, strict=True):
            self._records.append(record)
            self._judge(len(self._records) - 1, record, failure)

    def reconsider(self, parked: Sequence[Parked]) -> Arrivals:
        """Judge parked reports again (their signature was checked when they came); those that must wait on are in `parked`."""
        self._records = [_Waiting.of(report) for report in parked]
        for index, record in enumerate(self._records):
            try:
                message = decode(record.value or b"")
                if not self.directory.refusal(message.uai, self._now):
                    self._judge_report(message, message.reports[0], record, self._note(message, record, index), 0)
                    continue
            except Exception:  # it could be judged when it came: most likely the registry has lost its agent's key
                log.exception("A parked report broke its checks and waits on; see that its agent is registered")
            self.parked.append(parked[index])
        return self.arrivals()

    def _judge(self, index: int, record: Record, failure: Exception | None) -> None:
        claimed = claimed_agent(record)
        agent = claimed if claimed in self.directory.keys else NOBODY
        vouched = failure is None
        try:
            if failure:
                self.unknown |= getattr(failure, "code", "") in UNKNOWN
                raise failure  # noqa: TRY301 - judged like what is found below
            self._judge_reports(self._read(agent, record), record, index)
        except (DeadLetterError, MalformedMessageError) as error:
            self._bury(DeadLetter(record, agent, error.code, str(error), vouched))
        except RefusedError as error:
            self.unknown |= error.code != "convention_ended"
            self.outcomes[agent, metrics.REFUSED, error.code] += 1
        except Exception as error:  # whatever it is, one message must not stop a partition
            log.exception("A message broke its checks; look at its dead letter", offset=record.offset)
            self._bury(DeadLetter(record, agent, "unexpected", repr(error), vouched))

    def _read(self, agent: str, record: Record) -> UsageReported:
        message = decode(record.value or b"")
        if message.agent != agent:
            raise DeadLetterError("agent_mismatch", "the header and the message name two agents")
        if record.key != message.uai.encode("utf-8", "replace"):
            raise DeadLetterError("key_mismatch", "the key is not the establishment")
        if message.uai not in self._uais:
            _check_uai(message.uai)
        if not 0 < message.catalogue < _CATALOGUE_LIMIT:
            raise DeadLetterError("bad_catalogue", f"{message.catalogue} is no catalogue version")
        if refusal := self.directory.refusal(message.uai, self._now):
            raise RefusedError(refusal)
        return message

    def _judge_reports(self, message: UsageReported, record: Record, index: int) -> None:
        """Accept at once what is like a report already accepted and granted; look at the others one by one."""
        heard = self._note(message, record, index)
        zone, known = self.directory.zones[message.uai], self._known
        granted = self.directory.granted(message.agent, message.uai)
        current = message.catalogue <= CATALOGUE.version
        for number, report in enumerate(message.reports):
            spot = known.get((zone, report.family, report.grain, report.start)) if current else None
            if spot and not report.restatement and overlaps(granted.get(report.family, ()), spot.first, spot.last):
                self._accept(spot, report, heard, number)
            else:
                self._judge_report(message, report, record, heard, number)

    def _note(self, message: UsageReported, record: Record, index: int) -> int:
        """Take down what a message's reports share; its number in the flush."""
        uai = self._uais.setdefault(message.uai, len(self._uais))
        self._messages.extend((uai, self._numbers[message.agent], record.timestamp, index))
        return len(self._messages) // 4 - 1

    def _judge_report(self, message: UsageReported, report: Report, record: Record, heard: int, number: int) -> None:
        """Sort one report into its outcome; a malformed one raises only after the others had their turn."""
        try:
            if not 0 <= report.restatement < _RESTATEMENT_LIMIT:
                raise MalformedMessageError("bad_restatement", f"{report.restatement} is no UTC second")  # noqa: TRY301 - buried below
            if message.catalogue > CATALOGUE.version:
                self._park(message, report, record, "newer_catalogue")
            else:
                self._judge_place(message, report, record, heard, number)
        except (MalformedMessageError, BadStartError) as error:
            self._bury(DeadLetter(record, message.agent, error.code, str(error), vouched=True))

    def _judge_place(self, message: UsageReported, report: Report, record: Record, heard: int, number: int) -> None:
        family, grains = _FAMILIES.get(report.family, (-1, frozenset()))
        if report.grain not in grains:
            validate(report)
        where, grain = place(report.grain, report.start), _GRAIN_NUMBER[report.grain]
        zone = self.directory.zones[message.uai]
        span = horizon(self._now, zone)
        granted = self.directory.granted(message.agent, message.uai).get(report.family, ())
        if cause := outside(span, grain, where):
            self.outcomes[message.agent, *cause] += 1
        elif not overlaps(granted, where.first, where.last):
            self._flag_skew(message, span, grain, where)
            self.unknown = True
            self._park(message, report, record, "outside_grants")
        else:
            spot = Spot(len(self._spots) // 4, where.first, where.last)
            self._spots.extend((family, grain, where.day, where.quarter))
            if not self._flag_skew(message, span, grain, where):
                self._known[zone, report.family, report.grain, report.start] = spot
            self._accept(spot, report, heard, number)

    def _flag_skew(self, message: UsageReported, span: Horizon, grain: int, where: Place) -> bool:
        ahead = where.instant > span.now if grain == HOUR else where.first > span.today
        if ahead:
            self.outcomes[message.agent, metrics.FLAGGED, "skew"] += 1
        return ahead

    def _accept(self, spot: Spot, report: Report, heard: int, number: int) -> None:
        before, size = len(self._codes), len(report.cells)
        if size != len(report.counts):
            validate(report)
        try:
            self._codes.fromlist(report.cells)
            self._counts.fromlist(report.counts)
        except OverflowError:
            del self._codes[before:]
            validate(report)
            raise
        self._rows.extend((spot.number, heard, number, report.restatement, report.cut, size))

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

    def arrivals(self) -> Arrivals:
        """All that was accepted; counts what became of the others. Call it once, when everything was heard."""
        spots, heard, numbers, restatements, cuts, sizes = np.array(self._rows, np.int64).reshape(-1, 6).T
        families, grains, days, quarters = np.array(self._spots, np.int64).reshape(-1, 4)[spots].T
        uais, agents, as_of, records = np.array(self._messages, np.int64).reshape(-1, 4)[heard].T
        codes, counts = np.array(self._codes, np.int64), np.array(self._counts, np.int64)
        periods, places = np.unique((uais << 32) | (grains << 24) | days, return_inverse=True)
        cut = cuts.astype(np.bool_)
        reports = Reports(places, families, quarters, agents, restatements, cut, as_of, sizes, codes, counts)
        bad = misshapen(codes, counts, sizes, families)
        if bad.any():
            self._bury_misshapen(zip(records[bad].tolist(), numbers[bad].tolist(), strict=True))
            reports = reports.where(~bad)
        self._count(reports)
        known = list(self._uais)
        return Arrivals([Period(known[p >> 32], (p >> 24) & 0xFF, p & 0xFF_FFFF) for p in periods.tolist()], reports)

    def _count(self, reports: Reports) -> None:
        agents = {number: agent for agent, number in self._numbers.items()}
        for number, count in zip(*np.unique(reports.agents, return_counts=True), strict=True):
            self.outcomes[agents[int(number)], metrics.ACCEPTED, ""] += int(count)
        for letter in self.dead:
            self.outcomes[letter.agent, metrics.DEAD_LETTERED, letter.code] += 1

    def _bury_misshapen(self, origins: Iterable[tuple[int, int]]) -> None:
        """Read the few messages again to name what is wrong in them."""
        buried = {id(letter.record) for letter in self.dead}
        for index, number in origins:
            record = self._records[index]
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
    if where.instant > span.last_instant if grain == HOUR else where.first > span.last_day:
        return metrics.REFUSED, "future"
    return None
