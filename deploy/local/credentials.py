"""The secrets of one stack: generated at its first start, kept in its state folder, readable by its owner only."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

FILE = "secrets.json"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Passwords of the servers, the shared secret of the internal APIs, the bearer token of the territory's administrator.

    The token is here and on the operator's screen; identity keeps only its digest.
    """

    postgres: str
    identity: str
    usage: str
    valkey: str
    internal: str
    token: str


def credentials(folder: Path) -> Credentials:
    """Those of the folder, made if it has none."""
    path = folder / FILE
    if not path.exists():
        fresh = Credentials(*(secrets.token_urlsafe(24) for _ in fields(Credentials)))
        write_private(path, json.dumps(asdict(fresh)))
    return Credentials(**json.loads(path.read_text()))


def write_private(path: Path, text: str) -> None:
    """A file that is never readable by others, not even between its creation and a chmod; complete or absent."""
    draft = path.with_name(f".{path.name}")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text, "utf-8")
    draft.replace(path)
