"""`python -m contracts.schemas` exports the schemas and adds new cells to the lock."""

from __future__ import annotations

from contracts.catalogue import lock
from contracts.schemas import export

export()
lock.export()
