"""Situations that the aggregator names."""

from __future__ import annotations


class DeadLetterError(Exception):
    """A message can never be merged as it is; `code` is the cause an operator reads."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(detail or code)
        self.code = code
        self.detail = detail


class RefusedError(Exception):
    """A well-formed message that nobody may keep (no establishment, no convention in force): counted, not stored."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class StoppedError(Exception):
    """The process must stop and be started again; `exit_code` is what its supervisor sees."""

    exit_code = 75


class StoreUnavailableError(StoppedError):
    """PostgreSQL stayed out of reach through all retries: nothing is acknowledged, everything will be read again."""


class TooManyDeadLettersError(StoppedError):
    """Many agents at once send what cannot be merged: more likely our fault than theirs, so nothing more is set aside."""

    exit_code = 78


class StartError(StoppedError):
    """Something that the service needs at start is missing; the message says what."""


class StillConsumingError(Exception):
    """The group has members: what it has read is theirs to say."""
