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
    """The platform did not take the reports in the time given; they stay marked to publish.

    `retry_after`: seconds that it asks us to wait, None where it says nothing. `hopeless`: trying again soon changes nothing.
    """

    code = "not_delivered"
    hopeless = False

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class KeyRefusedError(NotDeliveredError):
    """The platform knows no key in force behind our signature: it was revoked, replaced, or never enrolled."""

    code = "key_refused"
    exit_code = 4
    hopeless = True


class TooOldError(NotDeliveredError):
    """The platform no longer hears this version: it goes on counting, and publishes once it is upgraded."""

    code = "agent_too_old"
    exit_code = 5
    hopeless = True


class NothingKnownError(NotDeliveredError):
    """The platform has never said what this agent may count."""

    code = "nothing_known_yet"


class MessageRefusedError(CollectorError):
    """The platform will not have this message, however often it is sent; `status` is HTTP's, `problem` the platform's code."""

    code = "message_refused"

    def __init__(self, status: int, problem: str, detail: str) -> None:
        super().__init__(f"HTTP {status} {problem}: {detail}".rstrip(": "))
        self.status, self.problem, self.detail = status, problem, detail


class EnrolmentError(CollectorError):
    """The agent cannot be enrolled; the message says why and what to do."""

    code = "not_enrolled"
    exit_code = 6


class ImportRefusedError(CollectorError):
    """A year before the agents cannot be imported as it is."""

    code = "import_refused"
    exit_code = 2
