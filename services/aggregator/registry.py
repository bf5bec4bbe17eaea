"""What identity says of establishments, conventions, keys and grants, indexed for a message's checks, and kept up to date."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

import httpx
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.registry import AgentKey, Convention, Grant, Registry
from contracts.signing import public_from_text

ASK_AGAIN_AFTER_S = 1.0
"""Something unknown makes us ask identity at once, but a flood of unknown things not more often than this."""
RETRY_S = 0.5
TIMEOUT_S = 10
DIAGNOSTICS = "diagnostics"
_FIRST, _LAST = 0, 10_000_000

Spans = tuple[tuple[int, int], ...]
"""First and last days, both included, as ordinals."""
_NOTHING: dict[str, Spans] = {}

log = structlog.get_logger()


@dataclass(frozen=True)
class Directory:
    """One snapshot of the registry, by what is looked up. Grants: by agent and establishment, then by family."""

    version: int = -1
    zones: dict[str, str] = field(default_factory=dict)
    keys: dict[str, list[tuple[AgentKey, Ed25519PublicKey]]] = field(default_factory=dict)
    grants: dict[tuple[str, str], dict[str, Spans]] = field(default_factory=dict)
    conventions: dict[str, list[Convention]] = field(default_factory=dict)

    def refusal(self, uai: str, now: datetime) -> str | None:
        """Why nothing of this establishment may be kept now; None where a convention is in force."""
        if uai not in self.zones:
            return "unknown_establishment"
        conventions = self.conventions.get(uai, [])
        if any(convention.in_force(now) for convention in conventions):
            return None
        ended = any(convention.valid_to and convention.valid_to <= now for convention in conventions)
        return "convention_ended" if ended else "no_convention"

    def public_keys(self, agent: str, appended: datetime) -> list[Ed25519PublicKey]:
        """The agent's keys that were valid when Kafka appended a message."""
        return [public for key, public in self.keys.get(agent, ()) if key.valid_at(appended)]

    def granted(self, agent: str, uai: str) -> Mapping[str, Spans]:
        """By family, the days that this agent may report of this establishment."""
        return self.grants.get((agent, uai), _NOTHING)


def overlaps(spans: Spans, first: int, last: int) -> bool:
    """Whether some day of [first, last] is in one of the spans."""
    for start, end in spans:  # noqa: SIM110 - any() costs twice, for every report
        if start <= last and first <= end:
            return True
    return False


def index(registry: Registry) -> Directory:
    """The snapshot indexed; whoever holds any grant of an establishment may report its diagnostics for those days."""
    conventions: defaultdict[str, list[Convention]] = defaultdict(list)
    for convention in registry.conventions:
        conventions[convention.uai].append(convention)
    return Directory(
        registry.version,
        {establishment.uai: establishment.zone for establishment in registry.establishments},
        _index_keys(registry.keys),
        _index_grants(registry.grants),
        dict(conventions),
    )


def _index_grants(grants: Iterable[Grant]) -> dict[tuple[str, str], dict[str, Spans]]:
    found: defaultdict[tuple[str, str], dict[str, Spans]] = defaultdict(dict)
    for grant in grants:
        first = grant.from_day.toordinal() if grant.from_day else _FIRST
        last = grant.to_day.toordinal() if grant.to_day else _LAST
        families = found[grant.agent, grant.uai]
        for family in {grant.family, DIAGNOSTICS}:
            families[family] = (*families.get(family, ()), (first, last))
    return dict(found)


def _index_keys(keys: list[AgentKey]) -> dict[str, list[tuple[AgentKey, Ed25519PublicKey]]]:
    found: defaultdict[str, list[tuple[AgentKey, Ed25519PublicKey]]] = defaultdict(list)
    for key in keys:
        try:
            found[key.agent].append((key, public_from_text(key.public_key)))
        except ValueError:
            log.exception("A key of the registry is no Ed25519 key; enrol this agent again", agent=key.agent)
    return dict(found)


class RegistryClient:
    """Keeps the last snapshot that identity gave; while identity is away, the last one stands."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_S, trust_env=False
        )
        self._tag = ""
        self._asked = float("-inf")
        self._asking = asyncio.Lock()
        self.directory = Directory()
        self.reached = False
        """Whether identity answered when last asked: what cannot be undone is not done by a registry that may be old."""

    async def refresh(self) -> bool:
        """Ask identity; whether something changed. Unreachable: said once a try, nothing changes."""
        async with self._asking:
            self._asked = monotonic()
            try:
                changed = await self._ask()
            except (httpx.HTTPError, msgspec.MsgspecError) as error:
                log.warning("The registry cannot be read; the last one stands", cause=repr(error))
                changed, self.reached = False, False
            else:
                self.reached = True
            return changed

    async def _ask(self) -> bool:
        answer = await self._http.get("/internal/registry", headers={"If-None-Match": self._tag})
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return False
        answer.raise_for_status()
        self.directory = index(msgspec.json.decode(answer.content, type=Registry))
        self._tag = answer.headers.get("ETag", "")
        log.info("Registry read", version=self.directory.version)
        return True

    async def refresh_for_unknown(self) -> bool:
        """Ask because something unknown was met, unless we have just asked; whether something changed."""
        return monotonic() - self._asked >= ASK_AGAIN_AFTER_S and await self.refresh()

    async def wait(self) -> None:
        """At first start nothing can be judged without a registry: wait for identity."""
        while True:
            if await self.refresh():
                return
            await asyncio.sleep(RETRY_S)

    async def close(self) -> None:
        await self._http.aclose()
