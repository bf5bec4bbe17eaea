"""Reads of what is known of agents; nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ARRAY, ColumnElement, Text, any_, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.aggregator.bundle import HEAD_BYTES, WIDE, WIDE_RECORD
from services.aggregator.metrics import ACCEPTED, EXPIRED, LOWER_RESTATEMENT, PARKED
from services.aggregator.tables import agents, bundles, outcomes


async def read_last_reports(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, datetime]:
    """When each of these agents last sent a report that its signature vouches for, whatever became of it."""
    received = outcomes.c.outcome.in_((ACCEPTED, LOWER_RESTATEMENT, PARKED, EXPIRED))
    statement = (
        select(outcomes.c.agent, func.max(outcomes.c.last_at).label("last"))
        .where(_is_among(outcomes.c.agent, ids), received)
        .group_by(outcomes.c.agent)
    )
    return {row.agent: row.last for row in await connection.execute(statement)}


async def read_agent_numbers(connection: AsyncConnection, ids: Sequence[str]) -> dict[int, str]:
    """Ids of these agents by the numbers that reports bear; who never reported has none."""
    rows = await connection.execute(select(agents.c.number, agents.c.id).where(_is_among(agents.c.id, ids)))
    return {row.number: row.id for row in rows}


async def read_records(connection: AsyncConnection, uais: Sequence[str]) -> list[tuple[str, bytes]]:
    """By establishment, the wide records of all its bundles that have such, one after the other: no cell is read.

    A bundle without any restatement is narrow, which its first byte says: of a year of days few are read, unless all were restated.
    """
    head = func.substring(bundles.c.reports, 1, HEAD_BYTES)
    size = (func.get_byte(head, 2) + 256 * func.get_byte(head, 3)) * WIDE_RECORD.itemsize
    records = func.substring(bundles.c.reports, HEAD_BYTES + 1, size)
    statement = (
        select(bundles.c.uai, func.string_agg(records, literal(b"")).label("records"))
        .where(_is_among(bundles.c.uai, uais), func.get_byte(head, 0) == WIDE)
        .group_by(bundles.c.uai)
    )
    return [(row.uai, row.records) for row in await connection.execute(statement)]


def _is_among(column: ColumnElement[str], values: Sequence[str]) -> ColumnElement[bool]:
    return column == any_(cast(list(values), ARRAY(Text)))
