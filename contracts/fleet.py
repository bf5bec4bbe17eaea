"""What agents and the platform say to each other beside reports: enrolment once, hello at each cadence.

Every request is the JSON of a struct below. Its bytes are signed like a report's (`contracts.signing`), the agent's name and the
signature travel as HTTP headers: an enrolment is signed with the key that it brings (and names no agent yet), a hello with a key in
force. Instants are those of the machines' real clocks, never of a business date held still.
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from contracts.registry import AgentKey, Grant

AGENT_HTTP_HEADER = "Territoriale-Agent"
SIGNATURE_HTTP_HEADER = "Territoriale-Signature"
MAX_FLEET_BYTES = 65_536
"""An enrolment or a hello is a few hundred bytes; of a site of a thousand establishments some tens of thousands."""


class Enrol(msgspec.Struct, frozen=True):
    """A code given once by the operator, and the public key (base64 of 32 bytes) that the agent has made. The private key never leaves."""

    code: str
    public_key: str
    version: str
    """The agent's own version, such as 0.1.0."""


class ServedEstablishment(msgspec.Struct, frozen=True):
    """An establishment that the agent has some grant for; `collected`: a convention is in force now."""

    uai: str
    name: str
    type: str
    zone: str
    collected: bool


class FamilyStanding(msgspec.Struct, frozen=True):
    """The highest restatement that the platform knows of this agent's reports of a family."""

    uai: str
    family: str
    restatement: int


class Resend(msgspec.Struct, frozen=True):
    """Mark every kept period that ends on `since` or later as to publish; once for each `id`, a number that grows."""

    id: int
    since: date


class Enrolled(msgspec.Struct, frozen=True):
    """The answer to an enrolment; the same code with the same key gets it again (the first answer may have been lost).

    `kafka`: the brokers' address where agents may reach them, else empty and reports go through the gateway.
    """

    agent: str
    server_time: datetime
    kafka: str
    establishments: list[ServedEstablishment]
    grants: list[Grant]


class Hello(msgspec.Struct, frozen=True):
    """An agent says that it is there. `state`: a random name of its state file, so that two copies of one agent are told apart.

    `sent_at` is by the agent's own clock. `next_public_key`: the key it is about to sign with; valid beside the old one for a while.
    """

    agent: str
    version: str
    catalogue: int
    state: str
    sent_at: datetime
    waiting: int = 0
    """Periods marked to publish."""
    problems: int = 0
    """Sources that are not observed, censuses refused."""
    next_public_key: str = ""


class HelloAnswer(msgspec.Struct, frozen=True):
    """What the agent is to obey. `key_until`: end of the key that signed this hello, None while nothing replaces it.

    `copies`: another state file spoke in this agent's name lately.
    """

    server_time: datetime
    minimum_version: str
    cadence_seconds: float
    establishments: list[ServedEstablishment]
    grants: list[Grant]
    standing: list[FamilyStanding] = []
    resend: Resend | None = None
    key_until: datetime | None = None
    copies: bool = False


class KeyRing(msgspec.Struct, frozen=True):
    """What the identity service tells the gateway: every agent's keys, as the registry stands at `version`."""

    version: int
    keys: list[AgentKey]


class AgentsQuestion(msgspec.Struct, frozen=True):
    """Asks the identity service for the agents that have a grant for one of these establishments."""

    uais: tuple[str, ...]


class AgentStatus(msgspec.Struct, frozen=True):
    """How one agent is; `establishments` are those asked about. None: it has never said hello, or never reported.

    `skew_seconds`: how far its clock is ahead of the platform's. `too_old`: below the minimum version. `copied`: two state files
    speak in its name. `revoked`: none of its keys is in force. `silent`: it has a key, and neither spoke nor reported lately.
    """

    agent: str
    establishments: list[str]
    version: str | None = None
    last_hello: datetime | None = None
    last_report: datetime | None = None
    skew_seconds: float | None = None
    waiting: int | None = None
    problems: int | None = None
    silent: bool = False
    too_old: bool = False
    skewed: bool = False
    copied: bool = False
    revoked: bool = False

    def with_report(self, last_report: datetime | None, silent_before: datetime) -> AgentStatus:
        """Knowing its last report: an agent that reports is not silent, whatever became of its hellos."""
        heard = max((at for at in (self.last_hello, last_report) if at), default=None)
        silent = not self.revoked and (heard is None or heard < silent_before)
        return msgspec.structs.replace(self, last_report=last_report, silent=silent)


class AgentStatuses(msgspec.Struct, frozen=True):
    """Who was last heard before `silent_before` is silent."""

    silent_before: datetime
    agents: list[AgentStatus]


class StandingQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks the query API how far it knows these agents; restatements are looked for in the reports of `uais` only."""

    agents: tuple[str, ...]
    uais: tuple[str, ...] = ()


class AgentStanding(msgspec.Struct, frozen=True):
    """`last_report`: when the platform last received a report of this agent; families never restated are not in `standing`."""

    agent: str
    last_report: datetime | None
    standing: list[FamilyStanding] = []
