"""`territoriale admin …`: the registry's commands, and the aggregator's beside them."""

from __future__ import annotations

from services.aggregator.cli import rebuild, reread
from services.identity.cli import admin

admin.add_command(rebuild)
admin.add_command(reread)
