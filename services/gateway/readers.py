"""Who asks: a token's scope, held a short while and obeyed only as long as rights stand where they stood."""

from __future__ import annotations

import hashlib
import re
import time
from asyncio import Lock
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from weakref import WeakValueDictionary

import httpx
import msgspec

from chassis.clock import Clock
from chassis.errors import UnauthorizedError
from contracts.questions import digest_of
from contracts.scope import Scope, Sight
from services.gateway.rights_watch import RightsWatch
from services.gateway.upstream import IdentityClient

MAX_READERS = 64
"""Scopes held at once: that of a thousand establishments weighs a megabyte."""
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([!-~]{1,400})", re.ASCII)
_MAX_AGE = re.compile(r"max-age=([0-9]+)", re.ASCII)
_decode_scope = msgspec.json.Decoder(Scope).decode


@dataclass(frozen=True)
class Reader:
    """What a bearer may see.

    `scope` is the identity service's own bytes, handed on untouched; `key` names the bearer without telling the token;
    `sight` is what may be seen of one establishment or another;
    `perimeter` is equal where the same may be seen.
    """

    key: str
    scope: msgspec.Raw
    uais: frozenset[str]
    sight: Sight
    perimeter: int
    rights_version: int
    valid_until: datetime | None
    held_until: float

    @cached_property
    def scope_digest(self) -> str:
        return digest_of(self.scope)

    def holds(self, version: int, now: datetime, monotonic: float) -> bool:
        """Whether no change of rights, no edge of a convention and not too much time has passed."""
        before_edge = self.valid_until is None or now < self.valid_until
        return self.rights_version >= version and before_edge and monotonic < self.held_until


class Readers:
    """Finds the reader of a request. Every request compares the version of rights, so that a revocation is obeyed by the next."""

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
        self._held: OrderedDict[str, Reader] = OrderedDict()
        self._asking: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    async def find(self, authorization: str) -> Reader:
        """The reader whose token stands in an Authorization header; `UnauthorizedError` when nobody's does."""
        match = _BEARER.fullmatch(authorization)
        if match is None:
            raise UnauthorizedError("send Authorization: Bearer and a token")
        token = match[1]
        key = hashlib.sha256(token.encode()).hexdigest()
        async with self._asking.setdefault(key, Lock()):
            version = await self._watch.version()
            return self._holding(key, version) or await self._ask(key, token)

    def _holding(self, key: str, version: int) -> Reader | None:
        reader = self._held.get(key)
        if reader is None or not reader.holds(version, self._clock.now(), self._monotonic()):
            self._held.pop(key, None)
            return None
        self._held.move_to_end(key)
        return reader

    async def _ask(self, key: str, token: str) -> Reader:
        asked_at = self._monotonic()
        response = await self._identity.scope(token)
        scope = _decode_scope(response.content)
        reader = Reader(
            key=key,
            scope=msgspec.Raw(response.content),
            uais=frozenset(visible.establishment.uai for visible in scope.establishments),
            sight=scope.sight,
            perimeter=hash((scope.territory, scope.establishments, scope.without_convention)),
            rights_version=scope.rights_version,
            valid_until=scope.valid_until,
            held_until=asked_at + _max_age(response),
        )
        self._held[key] = reader
        if len(self._held) > MAX_READERS:
            self._held.popitem(last=False)
        return reader


def _max_age(response: httpx.Response) -> int:
    """Seconds that the identity service lets its answer be held; none when it does not say."""
    match = _MAX_AGE.search(response.headers.get("cache-control", ""))
    return int(match[1]) if match else 0
