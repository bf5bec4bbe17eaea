"""What agents and the platform say to each other beside reports: enrolment once, hello at each cadence.

Every request is the JSON of a struct below. Its bytes are signed like a report's (`contracts.signing`), the agent's name and the
signature travel as HTTP headers: an enrolment is signed with the key that it brings, a hello with a key in force.
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from contracts.registry import Grant

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
