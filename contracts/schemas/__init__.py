"""JSON Schemas of the messages, exported from their declarations and stored beside this file for readers in other languages."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from contracts import counters_updated, identity_changed, usage_reported

MESSAGES: dict[str, type[msgspec.Struct]] = {
    usage_reported.TOPIC: usage_reported.UsageReported,
    counters_updated.TOPIC: counters_updated.CountersUpdated,
    identity_changed.TOPIC: identity_changed.IdentityChanged,
}
"""What each topic carries; a dead letter keeps the bytes of the topic it comes from."""

FOLDER = Path(__file__).parent


def schema_text(topic: str) -> str:
    """The schema of a topic's message as it is stored."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(MESSAGES[topic])}
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def export(folder: Path = FOLDER) -> None:
    """Write every schema again; run after a message's declaration changes."""
    for topic in MESSAGES:
        (folder / f"{topic}.json").write_text(schema_text(topic), "utf-8")
