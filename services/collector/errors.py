"""What can go wrong with an agent, named for the situation; each message says what to do."""

from __future__ import annotations


class CollectorError(Exception):
    """Base of the agent's own errors; `code` is stable, `exit_code` is what the command returns."""

    code = "agent_failed"
    exit_code = 1


class SettingsError(CollectorError):
    """A settings file that cannot be used: which file, which field, what is wrong with it."""

    code = "bad_settings"
    exit_code = 2

    def __init__(self, file: str, field: str, detail: str) -> None:
        super().__init__(f"{file}: {field}: {detail}" if field else f"{file}: {detail}")
        self.file, self.field, self.detail = file, field, detail


class StateInUseError(CollectorError):
    """Another agent holds the state file."""

    code = "state_in_use"
    exit_code = 3


class StateUnavailableError(CollectorError):
    """The state cannot be written: disk full, read-only, I/O error. Nothing is lost: sources are read again from the last commit."""

    code = "state_unavailable"


class UnreadableSourceError(CollectorError):
    """A file of a source cannot be read to its end; the source is not observed while it lasts."""

    code = "unreadable_source"


class NotDeliveredError(CollectorError):
    """Kafka did not take the reports in the time given; they stay marked to publish."""

    code = "not_delivered"
