"""What an agent does once it knows what the platform said: its settings, narrowed to what is granted and in force. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from services.collector.config import GrantSettings
from services.collector.version import is_older

if TYPE_CHECKING:
    from collections.abc import Iterable

    from contracts.fleet import HelloAnswer, ServedEstablishment
    from contracts.registry import Grant
    from services.collector.config import AgentSettings, EstablishmentSettings
    from services.collector.knowledge import Knowledge

DIAGNOSTICS = "diagnostics"
"""Whoever is granted anything of an establishment may report how its reading goes on those days."""
ALLOWED_SKEW = timedelta(minutes=5)
"""How far the machine's clock may be off before it is said; it is corrected all the same."""


@dataclass(frozen=True)
class Orders:
    """Establishments to read and publish, and how often. `too_old`: the minimum version, where ours comes before it.

    `waiting`: the platform has never said what may be counted, so nothing is. `remarks`: what an operator should know.
    """

    establishments: tuple[EstablishmentSettings, ...]
    cadence_seconds: float
    too_old: str = ""
    waiting: bool = False
    remarks: tuple[str, ...] = ()


def orders(settings: AgentSettings, knowledge: Knowledge, version: str) -> Orders:
    """What to obey; without a gateway the settings alone."""
    if not settings.gateway.url:
        return Orders(settings.establishments, settings.cadence_seconds)
    answer = knowledge.answer
    if answer is None:
        return Orders((), settings.cadence_seconds, waiting=True)
    served = {each.uai: each for each in answer.establishments}
    collected = tuple(
        replace(each, grants=granted(each.grants, _grants_of(answer, settings.agent, each.uai)))
        for each in settings.establishments
        if each.uai in served and served[each.uai].collected
    )
    return Orders(
        establishments=collected,
        cadence_seconds=answer.cadence_seconds if answer.cadence_seconds > 0 else settings.cadence_seconds,
        too_old=answer.minimum_version if is_older(version, answer.minimum_version) else "",
        remarks=tuple(_remarks(settings, answer, knowledge)),
    )


def _grants_of(answer: HelloAnswer, agent: str, uai: str) -> tuple[GrantSettings, ...]:
    mine = [grant for grant in answer.grants if grant.agent == agent and grant.uai == uai]
    days = dict.fromkeys((grant.from_day, grant.to_day) for grant in mine)
    diagnostics = [GrantSettings(DIAGNOSTICS, first, last) for first, last in days]
    return (*map(_as_settings, mine), *diagnostics)


def _as_settings(grant: Grant) -> GrantSettings:
    return GrantSettings(grant.family, grant.from_day, grant.to_day)


def granted(own: tuple[GrantSettings, ...] | None, platform: tuple[GrantSettings, ...]) -> tuple[GrantSettings, ...]:
    """The days that both allow; an agent's own settings may narrow what the platform grants, never widen it."""
    if own is None:
        return platform
    pairs = ((one, other) for one in own for other in platform if one.family == other.family)
    both = (
        GrantSettings(one.family, _latest(one.first, other.first), _earliest(one.last, other.last))
        for one, other in pairs
    )
    return tuple(each for each in both if each.first is None or each.last is None or each.first <= each.last)


def _latest(*days: date | None) -> date | None:
    return max((day for day in days if day), default=None)


def _earliest(*days: date | None) -> date | None:
    return min((day for day in days if day), default=None)


def _remarks(settings: AgentSettings, answer: HelloAnswer, knowledge: Knowledge) -> Iterable[str]:
    if answer.copies:
        yield (
            "another state file spoke in this agent's name lately: two copies of it are running, or its state was moved; "
            "stop one of them"
        )
    if abs(knowledge.ahead) > ALLOWED_SKEW.total_seconds():
        yield f"this machine's clock is {knowledge.ahead:+.0f} s off the platform's: set it by NTP; it is corrected meanwhile"
    known = {each.uai: each for each in settings.establishments}
    for served in answer.establishments:
        yield from _remarks_on(served, known.get(served.uai))
    served_uais = {served.uai for served in answer.establishments}
    yield from (f"{uai}: the platform grants nothing of it to this agent" for uai in known if uai not in served_uais)


def _remarks_on(served: ServedEstablishment, own: EstablishmentSettings | None) -> Iterable[str]:
    if own is None:
        yield f"{served.uai} ({served.name}): granted, but no [[establishment]] of the settings says where its sources are"
        return
    if not served.collected:
        yield f"{served.uai}: no convention is in force: it is neither read nor published"
    if own.zone.key != served.zone:
        yield f"{served.uai}: zone is {own.zone.key} here and {served.zone} on the platform"
    if own.type != served.type:
        yield f"{served.uai}: type is {own.type} here and {served.type} on the platform"
