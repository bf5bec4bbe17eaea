"""`identity.changed.v1`: ids of what changed in the registry or in rights, so that caches are dropped at once. Never a value."""

from __future__ import annotations

from typing import Literal

import msgspec

TOPIC = "identity.changed.v1"

Subject = Literal["territory", "establishment", "convention", "agent", "grant", "token"]


class IdentityChanged(msgspec.Struct, frozen=True):
    """The registry stands at `version` (or later) and these ids changed in it.

    `ids` are those of the subject: a territory's slug, UAIs (establishment, convention, grant), an agent's id, a token's public id.
    """

    version: int
    subject: Subject
    ids: tuple[str, ...]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(IdentityChanged)


def encode(message: IdentityChanged) -> bytes:
    return _encoder.encode(message)


def decode(value: bytes) -> IdentityChanged:
    """Inverse of `encode`; fields added later are ignored; raises `msgspec.MsgspecError` for anything else."""
    return _decoder.decode(value)
