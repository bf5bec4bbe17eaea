"""`counters.updated.v1`: sheets of an establishment have changed. Says where to look again, never what stands there."""

from __future__ import annotations

import msgspec

from contracts.catalogue import Grain

TOPIC = "counters.updated.v1"


class CountersUpdated(msgspec.Struct, frozen=True):
    """Families and grains of `uai` that a flush has changed, both sorted."""

    uai: str
    families: tuple[str, ...]
    grains: tuple[Grain, ...]
