"""An agent as the platform meets it: a key, and three signed requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from httpx import AsyncClient, Response

from contracts.catalogue import CATALOGUE
from contracts.fleet import AGENT_HTTP_HEADER, SIGNATURE_HTTP_HEADER, Enrol, Enrolled, Hello, HelloAnswer
from contracts.signing import public_to_text, sign
from contracts.usage_reported import Report, UsageReported, encode

WEB = CATALOGUE.select("web", "connections")[0]


@dataclass
class FleetAgent:
    """`name` is what it claims to be; it learns its own by enrolling."""

    name: str = ""
    state: str = "state-1"
    version: str = "0.1.0"
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> str:
        return public_to_text(self.private.public_key())

    def signed(self, body: bytes, *, key: Ed25519PrivateKey | None = None) -> dict[str, str]:
        """Headers of a request with this body."""
        signature = sign(key or self.private, body).decode()
        return {AGENT_HTTP_HEADER: self.name, SIGNATURE_HTTP_HEADER: signature, "Content-Type": "application/json"}

    def enrolment(self, code: str, **changes: Any) -> bytes:
        return msgspec.json.encode(msgspec.structs.replace(Enrol(code, self.public, self.version), **changes))

    def greeting(self, **changes: Any) -> bytes:
        hello = Hello(self.name, self.version, CATALOGUE.version, self.state, datetime.now(UTC))
        return msgspec.json.encode(msgspec.structs.replace(hello, **changes))

    def message(self, uai: str, day: str = "2026-11-20", count: int = 1, **changes: Any) -> bytes:
        told = UsageReported(self.name, uai, CATALOGUE.version, [Report("web", "day", day, [WEB], [count])])
        return encode(msgspec.structs.replace(told, **changes))

    async def post(self, client: AsyncClient, what: str, body: bytes, **headers: str) -> Response:
        return await client.post(f"/api/v1/agents/{what}", content=body, headers={**self.signed(body), **headers})

    async def enrol(self, client: AsyncClient, code: str) -> Enrolled:
        """Enrol, expecting to be let in, and take the name that is given."""
        response = await self.post(client, "enrol", self.enrolment(code))
        assert response.status_code == 200, response.text
        answer = msgspec.json.decode(response.content, type=Enrolled)
        self.name = answer.agent
        return answer

    async def hello(self, client: AsyncClient, **changes: Any) -> HelloAnswer:
        """Say hello, expecting to be heard."""
        response = await self.post(client, "hello", self.greeting(**changes))
        assert response.status_code == 200, response.text
        return msgspec.json.decode(response.content, type=HelloAnswer)

    async def report(self, client: AsyncClient, uai: str, **changes: Any) -> Response:
        return await self.post(client, "reports", self.message(uai, **changes))


async def in_parts(body: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    """A body sent chunked, its length unsaid."""
    for start in range(0, len(body), size):
        yield body[start : start + size]
