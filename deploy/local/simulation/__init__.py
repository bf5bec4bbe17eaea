"""A fictitious territory that writes journals as a PRONOTE export would: invented people, invented hours, real calendar."""

from __future__ import annotations

from deploy.local.simulation.preparation import prepare

__all__ = ["prepare"]
