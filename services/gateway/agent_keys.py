"""The keys that agents may sign with, as identity tells them, obeyed as long as rights stand where they stood."""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from starlette.requests import Request

from chassis.clock import Clock
from contracts.fleet import AGENT_HTTP_HEADER, SIGNATURE_HTTP_HEADER, KeyRing
from contracts.registry import AgentKey
from contracts.signing import public_from_text, verify
from services.gateway.errors import BadSignatureError
from services.gateway.rights_watch import RightsWatch
from services.gateway.upstream import IdentityClient

_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{86}==", re.ASCII)
HELD_SECONDS = 30.0
"""Keys are asked again after this even if nothing seems to change: a registry restored from a backup has a lower version."""

_NOBODYS = [Ed25519PrivateKey.generate().public_key()]
"""Its private half is forgotten at once: nothing is signed with it."""


class AgentKeys:
    """Every request compares the version of rights, so that a key that was revoked opens nothing at the next."""

    def __init__(
        self,
        identity: IdentityClient,
        watch: RightsWatch,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._watch = watch
        self._clock = clock
        self._monotonic = monotonic
        self._version = -1
        self._held_until = 0.0
        self._keys: dict[str, list[tuple[AgentKey, Ed25519PublicKey]]] = {}
        self._asking = asyncio.Lock()

    async def of(self, agent: str) -> list[Ed25519PublicKey]:
        """The keys in force of an agent; none for one that does not exist."""
        await self._keep_up(await self._watch.version())
        now: datetime = self._clock.real_now()
        return [public for key, public in self._keys.get(agent, ()) if key.valid_at(now)]

    async def _keep_up(self, version: int) -> None:
        if self._holds(version):
            return
        async with self._asking:
            if not self._holds(version):
                asked_at = self._monotonic()
                ring = await self._identity.keys()
                self._keys, self._version, self._held_until = _indexed(ring), ring.version, asked_at + HELD_SECONDS

    def _holds(self, version: int) -> bool:
        return self._version >= version and self._monotonic() < self._held_until


def _indexed(ring: KeyRing) -> dict[str, list[tuple[AgentKey, Ed25519PublicKey]]]:
    found: defaultdict[str, list[tuple[AgentKey, Ed25519PublicKey]]] = defaultdict(list)
    for key in ring.keys:
        found[key.agent].append((key, public_from_text(key.public_key)))
    return dict(found)


def signature_of(request: Request) -> str:
    """The signature that a request bears; `BadSignatureError` where it has none."""
    signature = request.headers.get(SIGNATURE_HTTP_HEADER, "")
    if not _SIGNATURE.fullmatch(signature):
        raise BadSignatureError
    return signature


def agent_of(request: Request) -> str:
    """The name that a request claims."""
    return request.headers.get(AGENT_HTTP_HEADER, "")


def check_signature(keys: list[Ed25519PublicKey], signature: str, body: bytes) -> None:
    """`BadSignatureError` unless one of these keys has signed the body; where there is none it takes as long to say so."""
    if not any(verify(key, signature.encode(), body) for key in keys or _NOBODYS):
        raise BadSignatureError
