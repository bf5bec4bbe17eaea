"""Sources that grow while agents read them: a written territory, given out in pieces."""

from __future__ import annotations

import itertools
import random
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Feed:
    """`folder` starts with the first piece of each journal of `whole` and gets the rest by `grow`.

    Rotated and gzipped files are there from the start: nobody appends to those. So are the journals of the `settled`, whose
    numbers depend on when they were read: late lines after a purge, heartbeats that come after the agent stood at the end.
    """

    whole: Path
    folder: Path
    pieces: int
    draw: random.Random
    settled: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        shutil.copytree(self.whole, self.folder)
        self._rest: dict[Path, list[bytes]] = {}
        for path in sorted(self.folder.glob("*/journal.ndjson")):
            if path.parent.name not in self.settled and not list(path.parent.glob("journal.ndjson?*")):
                first, *rest = self._cut(path.read_bytes())
                path.write_bytes(first)
                self._rest[path] = rest

    def _cut(self, content: bytes) -> list[bytes]:
        """Pieces that end with a line, of sizes as drawn; the first holds the first line."""
        lines = content.splitlines(keepends=True)
        places = sorted(self.draw.randint(1, len(lines)) for _ in range(self.pieces - 1))
        bounds = [0, *places, len(lines)]
        return [b"".join(lines[start:end]) for start, end in itertools.pairwise(bounds)]

    def grow(self) -> bool:
        """Append the next piece of every journal; whether anything is left after it."""
        for path, rest in self._rest.items():
            if rest:
                with path.open("ab") as journal:
                    journal.write(rest.pop(0))
        return any(self._rest.values())
