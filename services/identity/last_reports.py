"""When agents last reported, as the query API knows; for a command, which does without it where it does not answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import httpx
import msgspec

from contracts.fleet import AgentStanding, StandingQuestion
from services.identity.config import LastReportsSettings

ANSWER_SECONDS = 10.0


def last_reports(settings: LastReportsSettings, agents: Sequence[str]) -> dict[str, datetime | None] | None:
    """By agent; None where the query API is not known or does not answer."""
    if not settings.query_url:
        return None
    try:
        response = httpx.post(
            f"{settings.query_url}/internal/standing",
            content=msgspec.json.encode(StandingQuestion(tuple(agents))),
            headers={"Authorization": f"Bearer {settings.internal_token.get_secret_value()}"},
            timeout=ANSWER_SECONDS,
            trust_env=False,
        )
        response.raise_for_status()
        told = msgspec.json.decode(response.content, type=list[AgentStanding])
    except (httpx.HTTPError, msgspec.MsgspecError):
        return None
    return {each.agent: each.last_report for each in told}
