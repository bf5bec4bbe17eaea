"""Whether a message comes from whom it says: its agent's key, valid when Kafka appended it, signed it. Pure, and safe in threads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from contracts.signing import AGENT_HEADER, SIGNATURE_HEADER, verify
from services.aggregator.errors import DeadLetterError
from services.aggregator.registry import Directory

UNKNOWN = frozenset({"unknown_agent", "bad_signature", "no_valid_key"})
"""Failures that a newer registry might mend."""


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


def claimed_agent(record: Record) -> str:
    """Whom the header names; empty when it names nobody."""
    return (dict(record.headers).get(AGENT_HEADER) or b"").decode("utf-8", "replace")


def proofs(directory: Directory, records: Sequence[Record]) -> list[Exception | None]:
    """For each record None where its signature holds; else why it does not, whatever went wrong."""
    return [_proof(directory, record) for record in records]


def _proof(directory: Directory, record: Record) -> Exception | None:
    try:
        _authenticate(directory, record)
    except Exception as failure:  # noqa: BLE001 - the caller judges: one message must not stop the others of its batch
        return failure
    return None


def _authenticate(directory: Directory, record: Record) -> None:
    headers = dict(record.headers)
    agent = (headers.get(AGENT_HEADER) or b"").decode("utf-8", "replace")
    if not agent:
        raise DeadLetterError("no_agent", "no agent header")
    if agent not in directory.keys:
        raise DeadLetterError("unknown_agent", f"no agent {agent[:80]!r}")
    signature = headers.get(SIGNATURE_HEADER)
    if not signature:
        raise DeadLetterError("no_signature", "no signature header")
    keys = directory.public_keys(agent, datetime.fromtimestamp(record.timestamp / 1000, UTC))
    if not any(verify(key, signature, record.value or b"") for key in keys):
        raise DeadLetterError("bad_signature" if keys else "no_valid_key", f"{len(keys)} keys were valid")
