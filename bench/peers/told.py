"""What every peer tells when it is done: one line of JSON. Imported in both environments."""

from __future__ import annotations

import json
import sys

from bench.memory import peak_mb


def tell(*, seconds: float, reports: int, facts: int) -> None:
    """`seconds` from the first message in hand to the last one committed; the peak memory of this process is added."""
    said = {"seconds": seconds, "reports": reports, "facts": facts, "memory_mb": peak_mb()}
    sys.stdout.write(json.dumps(said) + "\n")
