"""Peak memory of a process. Needs nothing but Python, because peers in their own environment tell theirs too."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path


def peak_mb(pid: int | None = None) -> int:
    """Peak resident memory, in MB of 2^20 bytes; of this process by default.

    Linux's own word (VmHWM), because what `getrusage` says there may be the peak of the parent that this one was forked from;
    elsewhere `getrusage`, for this process only.
    """
    status = Path(f"/proc/{pid or os.getpid()}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) // 1024
    unit = 1 << 20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit


def at_1gb(peaks: Sequence[float], megabytes: float) -> float:
    """What the peak would be after 1 GB, from peaks at even distances over `megabytes` that were read.

    It goes on as it went over the second half, when everything that is kept anyway is there.
    """
    middle = len(peaks) // 2
    slope = (peaks[-1] - peaks[middle]) / (megabytes * (1 - middle / len(peaks)))
    return round(peaks[-1] + slope * max(0.0, 1000 - megabytes))
