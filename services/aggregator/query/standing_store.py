"""Reads of what is known of agents; nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ARRAY, ColumnElement, Text, any_, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.aggregator.metrics import ACCEPTED, EXPIRED, LOWER_RESTATEMENT, PARKED
from services.aggregator.tables import agents, outcomes, restatements


async def read_last_reports(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, datetime]:
    """When each of these agents last sent a report that its signature vouches for, whatever became of it."""
    received = outcomes.c.outcome.in_((ACCEPTED, LOWER_RESTATEMENT, PARKED, EXPIRED))
    statement = (
        select(outcomes.c.agent, func.max(outcomes.c.last_at).label("last"))
        .where(_is_among(outcomes.c.agent, ids), received)
        .group_by(outcomes.c.agent)
    )
    return {row.agent: row.last for row in await connection.execute(statement)}


async def read_restatements(
    connection: AsyncConnection, ids: Sequence[str], uais: Sequence[str]
) -> list[tuple[str, str, int, int]]:
    """Agent, UAI, number of the family and the highest restatement; what was never restated has none."""
    table = restatements.c
    statement = (
        select(agents.c.id, table.uai, table.family, table.highest)
        .join(agents, agents.c.number == table.agent)
        .where(_is_among(agents.c.id, ids), _is_among(table.uai, uais))
        .order_by(agents.c.id, table.uai, table.family)
    )
    return [(*row,) for row in await connection.execute(statement)]


def _is_among(column: ColumnElement[str], values: Sequence[str]) -> ColumnElement[bool]:
    return column == any_(cast(list(values), ARRAY(Text)))
