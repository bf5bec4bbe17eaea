"""`usage.reported.v1`: where an establishment stands in the periods that changed. States, not increments."""

from __future__ import annotations

import itertools

import msgspec

from contracts.catalogue import CATALOGUE, Grain
from contracts.periods import BadStartError, parse_hour, parse_start

TOPIC = "usage.reported.v1"
MAX_MESSAGE_BYTES = 500_000
"""A greater state travels as several messages: reports are whole each, so their order does not matter."""
MAX_COUNT = 2**40
"""No cell of one establishment comes near; a greater count is a mistake or an attack."""


class MalformedMessageError(ValueError):
    """The bytes are no report message; `code` names why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """The whole state of one family in one period: `cells` ascending and distinct, `counts` of the same length.

    `restatement` is the UTC second of the restatement or of the census reading; a higher one replaces, else cells merge by maximum.
    """

    family: str
    grain: Grain
    start: str
    cells: list[int]
    counts: list[int]
    restatement: int = 0
    cut: bool = False


class UsageReported(msgspec.Struct, frozen=True):
    """One establishment's reports that changed since the last publication, from one agent."""

    agent: str
    uai: str
    catalogue: int
    reports: list[Report]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(UsageReported)


def encode(message: UsageReported) -> bytes:
    return _encoder.encode(message)


def decode(value: bytes) -> UsageReported:
    """Decode and check types; `MalformedMessageError` with code `oversize` or `malformed`."""
    if len(value) > MAX_MESSAGE_BYTES:
        raise MalformedMessageError("oversize", f"{len(value)} bytes, at most {MAX_MESSAGE_BYTES} are accepted")
    try:
        return _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessageError("malformed", str(error)) from error


def validate(report: Report) -> None:
    """Check a report's shape against the catalogue; `MalformedMessageError` names the first fault.

    Codes: unknown_family, grain_not_in_family, bad_start, lengths_differ, cells_not_ascending, cell_not_in_family, bad_count.
    """
    family = CATALOGUE.families.get(report.family)
    if family is None:
        raise MalformedMessageError("unknown_family", f"no family {report.family!r}")
    if report.grain not in family.grains:
        raise MalformedMessageError("grain_not_in_family", f"{report.family} is not reported by {report.grain}")
    _validate_start(report)
    _validate_cells(report)


def _validate_start(report: Report) -> None:
    try:
        if report.grain == "hour":
            parse_hour(report.start)
        else:
            parse_start(report.grain, report.start)
    except BadStartError as error:
        raise MalformedMessageError(error.code, str(error)) from error


def _validate_cells(report: Report) -> None:
    cells, counts = report.cells, report.counts
    if len(cells) != len(counts):
        raise MalformedMessageError("lengths_differ", f"{len(cells)} cells, {len(counts)} counts")
    if any(left >= right for left, right in itertools.pairwise(cells)):
        raise MalformedMessageError("cells_not_ascending", "cells are not sorted and distinct")
    known = _codes_of(report.family)
    if not known.issuperset(cells):
        raise MalformedMessageError("cell_not_in_family", f"cell {min(set(cells) - known)} is not of {report.family}")
    if counts and not (min(counts) >= 0 and max(counts) <= MAX_COUNT):
        raise MalformedMessageError("bad_count", "a count is negative or beyond measure")


_codes: dict[str, frozenset[int]] = {}


def _codes_of(family: str) -> frozenset[int]:
    if family not in _codes:
        _codes[family] = frozenset(cell.code for cell in CATALOGUE.cells.values() if cell.family == family)
    return _codes[family]
