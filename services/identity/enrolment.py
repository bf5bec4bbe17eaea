"""Enrolment: an operator's code, used once, binds an agent's id to the key that the agent has made."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta

import msgspec

from contracts.fleet import Enrolled
from contracts.registry import AgentKey, Grant
from contracts.signing import public_from_text, verify
from services.identity import errors, particulars
from services.identity.change import Change, Changes, put_grants
from services.identity.codes import CHANCE_BYTES, code_of, digest_of
from services.identity.fleet_store import Invitation
from services.identity.messages import read_enrolment
from services.identity.served import collected_among, served_by

DEFAULT_LASTING = timedelta(hours=72)
"""A code is given on one working day and typed on another; a week-end may lie between."""
KEY_LEEWAY = timedelta(minutes=5)
"""A key begins so long before it is registered: Kafka's clock, by which messages are judged, may be behind identity's."""


class NewInvitation(msgspec.Struct, frozen=True):
    """`code` is shown once: only its digest is kept. `uncollected`: UAIs without a convention in force, not enrolled as things stand."""

    id: str
    agent: str
    code: str
    expires_at: datetime
    uncollected: list[str]


class Enrolments(Changes):
    """Makes, lists and revokes codes; enrols the agents that bring one."""

    async def invite(
        self,
        agent: str,
        grants: Sequence[Grant],
        *,
        lasting: timedelta = DEFAULT_LASTING,
        overlap: timedelta = timedelta(),
    ) -> NewInvitation:
        """A code for `agent` (new or known) that will give it these grants; none: a known agent enrols again with those it has."""
        async with self._change() as change:
            await self._check_invited(change, agent, grants)
            await change.store.put_agent(agent)
            now, code = self._clock.real_now(), code_of(secrets.token_bytes(CHANCE_BYTES))
            invitation = Invitation(secrets.token_hex(4), agent, tuple(grants), overlap, now, now + lasting)
            await change.fleet.put_invitation(invitation, digest_of(code))
            change.touch("agent", [agent])
            uais = {grant.uai for grant in grants or await change.store.grants(agent=agent)}
            uncollected = uais - await collected_among(change.store, uais, self._clock.now())
            return NewInvitation(invitation.id, agent, code, invitation.expires_at, sorted(uncollected))

    @staticmethod
    async def _check_invited(change: Change, agent: str, grants: Sequence[Grant]) -> None:
        for grant in grants:
            particulars.in_order(grant.from_day, grant.to_day, f"grant of {grant.family} for {grant.uai}")
        uais = {grant.uai for grant in grants}
        if unknown := uais - {each.uai for each in await change.store.establishments(uais)}:
            raise errors.UnknownEstablishmentError(f"{min(unknown)} is not registered")
        if not grants and not await change.store.grants(agent=agent):
            raise errors.NothingToGrantError(
                f"the agent {agent} has no grants and is given none: say which with --grant"
            )
        _refuse_overlap(grants, await change.store.grants(uais))

    async def invitations(self) -> list[Invitation]:
        async with self._snapshot() as (_, fleet):
            return await fleet.invitations()

    async def revoke_invitation(self, invitation_id: str) -> None:
        """Nobody enrols with this code any more; an agent that has keeps its key (`Fleet.revoke` ends that)."""
        async with self._change() as change:
            if not await change.fleet.revoke_invitations(self._clock.real_now(), invitation_id=invitation_id):
                raise errors.UnknownInvitationError(f"no invitation has the id {invitation_id}")

    async def enrol(self, body: bytes, signature: bytes, kafka: str) -> Enrolled:
        """Let the agent of a code sign with the key it brings; the same code with the same key gets the answer again.

        `BadSignatureError` unless the body is signed with that key. `RefusedCodeError`, and nothing more, for a code that is unknown,
        used with another key, expired or revoked. `NoConventionError` where no establishment of the agent may be collected.
        """
        asked = read_enrolment(body)
        if not verify(public_from_text(asked.public_key), signature, body):
            raise errors.BadSignatureError
        async with self._snapshot() as (_, fleet):
            invitation = await fleet.invitation(digest_of(asked.code))
        now = self._clock.real_now()
        if invitation is None or not invitation.opens_to(asked.public_key, now):
            raise errors.RefusedCodeError
        if invitation.public_key is None:
            await self._use(digest_of(asked.code), asked.public_key, now)
        async with self._snapshot() as (store, _):
            served = await served_by(store, invitation.agent, self._clock.now())
        return Enrolled(invitation.agent, now, kafka, served.establishments, served.grants)

    async def _use(self, digest: bytes, public_key: str, now: datetime) -> None:
        """Changes take turns, so that of two agents with one code the second finds it used."""
        async with self._change() as change:
            invitation = await change.fleet.invitation(digest)
            if invitation is None or not invitation.opens_to(public_key, now):
                raise errors.RefusedCodeError
            await self._grant(change, invitation)
            await _bring_key(change, AgentKey(invitation.agent, public_key, now - KEY_LEEWAY), now)
            await change.fleet.end_keys(invitation.agent, now + invitation.overlap, but=public_key)
            await change.fleet.use_invitation(invitation.id, public_key, now)
            change.touch("agent", [invitation.agent])

    async def _grant(self, change: Change, invitation: Invitation) -> None:
        """Give what was invited where a convention is in force; establishments without one are not enrolled."""
        known = await change.store.grants(agent=invitation.agent)
        uais = {grant.uai for grant in (*invitation.grants, *known)}
        collected = await collected_among(change.store, uais, self._clock.now())
        if not collected:
            raise errors.NoConventionError
        if given := [grant for grant in invitation.grants if grant.uai in collected]:
            await put_grants(change, given)


async def _bring_key(change: Change, key: AgentKey, now: datetime) -> None:
    """Register a key; one that the agent has already is kept as it is, unless it was ended."""
    if await change.store.put_key(key):
        return
    (known,) = [each for each in await change.store.keys(key.agent) if each.public_key == key.public_key]
    if not known.valid_at(now):
        raise errors.EndedKeyError


def _refuse_overlap(given: Sequence[Grant], known: Collection[Grant]) -> None:
    """Say now what would fail when the agent enrols."""
    for number, grant in enumerate(given):
        for other in (*known, *given[:number]):
            same = (grant.uai, grant.family) == (other.uai, other.family)
            if same and grant != other and grant.overlaps(other.from_day or date.min, other.to_day or date.max):
                days = f"{other.from_day or '…'} to {other.to_day or '…'}"
                raise errors.GrantOverlapError(
                    f"{grant.family} of {grant.uai} is granted to {other.agent}, {days}: see `admin grant move`"
                )
