"""Topic cards: one file a topic, from which topics are created. Why it exists, who writes and reads it, how long it keeps."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import msgspec

RETENTION_CONFIG = "retention.ms"
_DAY_MS = 86_400_000


class TopicCard(msgspec.Struct, frozen=True):
    """One topic: `key` names what partitions it, `schema` the file under contracts/schemas, `personal_data` what it holds of people."""

    name: str
    why: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    key: str
    schema: str
    partitions: int
    retention_days: int
    personal_data: str
    max_message_bytes: int = 1_000_000

    def config(self) -> dict[str, str]:
        """Broker-side settings; time of append, so that keys and grants are judged by the platform's clock."""
        return {
            RETENTION_CONFIG: str(self.retention_days * _DAY_MS),
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(self.max_message_bytes),
        }


def load_cards() -> dict[str, TopicCard]:
    """All cards by topic name; a malformed card raises."""
    cards = [
        msgspec.convert(tomllib.loads(entry.read_text("utf-8")), TopicCard)
        for entry in files(__package__).iterdir()
        if entry.name.endswith(".toml")
    ]
    return {card.name: card for card in cards}
