"""The AsyncAPI document: channels by FastStream, payloads by the declarations in contracts (msgspec, which FastStream cannot read)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI

from contracts.schemas import MESSAGES


def document(broker: KafkaBroker) -> dict[str, Any]:
    """The whole document, as JSON-ready objects."""
    text = AsyncAPI(broker, title="aggregator", version="1").to_specification().to_json()
    found: dict[str, Any] = json.loads(text)
    schemas, components = msgspec.json.schema_components(MESSAGES.values(), ref_template="#/components/schemas/{name}")
    payloads = dict(zip(MESSAGES, schemas, strict=True))
    for name, message in found["components"]["messages"].items():
        message["payload"] = next(payload for topic, payload in payloads.items() if topic in name)
        message.pop("correlationId", None)
    found["components"]["schemas"] = components
    return found
