"""What agents send, read strictly: sizes, types, visible text, plausible instants. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from contracts.fleet import MAX_FLEET_BYTES, Enrol, Hello
from contracts.signing import public_from_text, public_to_text
from services.identity import errors

_VISIBLE = re.compile(r"[!-~]{1,64}", re.ASCII)
"""Versions and names of state files: they reach tables and terminals."""
_COUNT_LIMIT = 2**40
_CATALOGUE_LIMIT = 2**31
_Message = TypeVar("_Message", Enrol, Hello)


def read_enrolment(body: bytes) -> Enrol:
    """An enrolment, its key as the registry keeps keys; `MalformedMessageError` or `InvalidKeyError`."""
    asked = _decode(body, Enrol)
    _refuse_invisible(asked.version, "version")
    return msgspec.structs.replace(asked, public_key=public_key(asked.public_key))


def read_hello(body: bytes, agent: str) -> Hello:
    """A hello of that agent, its instant in UTC and its next key as the registry keeps keys."""
    hello = _decode(body, Hello)
    if hello.agent != agent:
        raise errors.MalformedMessageError("the header and the message name two agents")
    _refuse_invisible(hello.version, "version")
    _refuse_invisible(hello.state, "state")
    _refuse_beyond(hello.catalogue, _CATALOGUE_LIMIT, "catalogue")
    _refuse_beyond(hello.waiting, _COUNT_LIMIT, "waiting")
    _refuse_beyond(hello.problems, _COUNT_LIMIT, "problems")
    following = public_key(hello.next_public_key) if hello.next_public_key else ""
    return msgspec.structs.replace(hello, sent_at=_in_utc(hello.sent_at), next_public_key=following)


def _decode(body: bytes, kind: type[_Message]) -> _Message:
    if len(body) > MAX_FLEET_BYTES:
        raise errors.MalformedMessageError(f"{len(body)} bytes, at most {MAX_FLEET_BYTES} are read")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise errors.MalformedMessageError(str(error)) from error


def public_key(text: str) -> str:
    try:
        return public_to_text(public_from_text(text))
    except ValueError as error:
        raise errors.InvalidKeyError from error


def _refuse_invisible(text: str, what: str) -> None:
    if not _VISIBLE.fullmatch(text):
        raise errors.MalformedMessageError(f"{what}: 1 to 64 visible ASCII characters are expected")


def _refuse_beyond(number: int, limit: int, what: str) -> None:
    if not 0 <= number < limit:
        raise errors.MalformedMessageError(f"{what} is negative or beyond measure")


def _in_utc(instant: datetime) -> datetime:
    try:
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except OverflowError:
        pass
    raise errors.MalformedMessageError("sent_at: an instant with its offset is expected")
