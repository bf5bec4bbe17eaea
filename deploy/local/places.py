"""Where the local stack keeps its files: everything lives in the clone, in one folder that git ignores."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The clone (or, for an installed wheel, the folder of the packages)."""


def local_folder() -> Path:
    """The folder of everything the local stack writes: `TERRITORIALE_LOCAL`, else `.local` in the clone.

    An installed wheel has no clone around it; then the user's cache folder serves.
    """
    if chosen := os.environ.get("TERRITORIALE_LOCAL"):
        return Path(chosen).expanduser().resolve()
    if (ROOT / "pyproject.toml").exists():
        return ROOT / ".local"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "territoriale"


def cache_folder() -> Path:
    """What can be fetched again: jars and the class cache of Kafka."""
    return local_folder() / "cache"


def stacks_folder() -> Path:
    """One sub-folder per stack started without `--state`; nothing in it outlives `local down`."""
    return local_folder() / "stacks"


def running_folder() -> Path:
    """One small file per stack of this clone that runs, so that `down` and `status` find them all."""
    return local_folder() / "running"


def short_name(folder: Path) -> str:
    """A name for a state folder that is short, stable and legal in a file name."""
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
