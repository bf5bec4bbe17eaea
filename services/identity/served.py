"""What an agent is told of its work: establishments, grants, and where a convention is in force."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from contracts.fleet import ServedEstablishment
from contracts.registry import Grant
from services.identity.store import RegistryStore


class Served(msgspec.Struct, frozen=True):
    """An agent's grants, and the establishments that they name."""

    establishments: list[ServedEstablishment]
    grants: list[Grant]

    @property
    def uais(self) -> tuple[str, ...]:
        return tuple(each.uai for each in self.establishments)


async def served_by(store: RegistryStore, agent: str, now: datetime) -> Served:
    """All that an agent has some grant for, past ones included: what it keeps of them may be asked again."""
    grants = await store.grants(agent=agent)
    uais = {grant.uai for grant in grants}
    collected = await collected_among(store, uais, now)
    establishments = [
        ServedEstablishment(each.uai, each.name, each.type, each.zone, each.uai in collected)
        for each in await store.establishments(uais)
    ]
    return Served(establishments, grants)


async def collected_among(store: RegistryStore, uais: Collection[str], now: datetime) -> set[str]:
    """Those of these establishments that have a convention in force, with any territory."""
    return {row.convention.uai for row in await store.conventions(uais=uais) if row.convention.in_force(now)}
