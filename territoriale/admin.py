"""`territoriale admin …`: the registry's commands, and the sheets' rebuilding beside them."""

from __future__ import annotations

from services.aggregator.cli import rebuild
from services.identity.cli import admin

admin.add_command(rebuild)
