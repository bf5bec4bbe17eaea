"""What `agent check` looks at beside the sources: key, state, disk, clock, the way to the platform, grants against settings."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple

from services.collector import files, journal
from services.collector.access_log import stamps
from services.collector.clock import skew
from services.collector.errors import CollectorError, UnreadableSourceError
from services.collector.keys import is_open_to_others, read_key
from services.collector.orders import ALLOWED_SKEW
from services.collector.sources import ACCESS_LOG, JOURNAL, families_of
from services.collector.wiring import gateway_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from contracts.registry import Grant
    from services.collector.config import AgentSettings, EstablishmentSettings

LEAST_FREE = 200 * 1024 * 1024
"""Bytes; a state of a thousand establishments takes some 50 MB, and SQLite's own journal as much again."""
LINES_LOOKED_AT = 20


class Look(NamedTuple):
    """How one thing was found; not `ok`: `detail` says what to do."""

    what: str
    ok: bool
    detail: str


async def look_at_site(settings: AgentSettings) -> list[Look]:
    """Everything that can be told before anything is sent; the platform is only asked what time it is."""
    found = [_key(settings.key), _folder(settings.state.parent), _disk(settings.state.parent)]
    if settings.gateway.url:
        found.append(await _gateway(settings))
    return found


def _key(path: Path) -> Look:
    try:
        read_key(path)
    except CollectorError as error:
        return Look("key", ok=False, detail=f"{error}: enrol this agent")
    if is_open_to_others(path):
        return Look("key", ok=False, detail=f"{path} may be read by others: chmod 600 {path}")
    return Look("key", ok=True, detail=f"{path}, readable by its owner alone")


def _folder(folder: Path) -> Look:
    existing = next(each for each in (folder, *folder.resolve().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return Look("state", ok=True, detail=f"{folder} can be written")
    except OSError as error:
        return Look(
            "state", ok=False, detail=f"{folder} cannot be written ({error.strerror}): give it to the agent's user"
        )


def _disk(folder: Path) -> Look:
    existing = next(each for each in (folder, *folder.resolve().parents) if each.exists())
    free = shutil.disk_usage(existing).free
    return Look("disk", ok=free >= LEAST_FREE, detail=f"{free // 2**20:,} MB free, {LEAST_FREE // 2**20} MB are wanted")


async def _gateway(settings: AgentSettings) -> Look:
    gateway = None
    try:
        gateway = gateway_of(settings)
        assert gateway
        sent = settings.clock.real_now()
        server = await gateway.server_time()
        received = settings.clock.real_now()
    except CollectorError as error:
        return Look("platform", ok=False, detail=f"{error}: look at the address, HTTPS_PROXY, [gateway] ca")
    finally:
        if gateway:
            await gateway.close()
    ahead = skew(sent, received + timedelta(seconds=1), server)  # a `Date` says whole seconds
    said = f"{settings.gateway.url} answers; this machine's clock is {ahead.total_seconds():+.0f} s off its own"
    return Look("platform", ok=abs(ahead) <= ALLOWED_SKEW, detail=said)


# --- sources, file by file


def formats_of(establishment: EstablishmentSettings) -> Iterator[dict[str, Any]]:
    """Each file of the sources of lines with the format that its first lines are in; nothing of what they say is told."""
    sources = establishment.sources
    for name, paths in ((JOURNAL, sources.journal_paths), (ACCESS_LOG, sources.access_log_paths)):
        for path in files.find(establishment.folder, paths)[0]:
            try:
                lines = files.head_of(path).split(b"\n")[:LINES_LOOKED_AT] if path.is_file() else []
            except UnreadableSourceError as error:
                yield {"source": name, "file": str(path), "format": "unreadable", "detail": str(error)}
                continue
            recognise = _journal_format if name == JOURNAL else _log_format
            found = [each for each in map(recognise, filter(None, map(bytes.strip, lines))) if each]
            yield {"source": name, "file": str(path), "format": found[0] if found else "not recognised", "detail": ""}


def _journal_format(line: bytes) -> str:
    return "journal" if journal.instant_of(line.removeprefix(journal.BOM)) is not None else ""


def _log_format(line: bytes) -> str:
    if line.startswith(b"#Fields:"):
        return "IIS W3C"
    if line.startswith(b"#") or stamps.instant_of(line) is None:
        return ""
    if line.startswith(b"{"):
        return "nginx JSON"
    if line[4:5] == b"-":
        return "IIS W3C"
    return "combined" if _is_address(line.split(b" ", 1)[0]) else "combined, host first"


def _is_address(word: bytes) -> bool:
    try:
        ip_address(word.decode("ascii", "replace"))
    except ValueError:
        return False
    return True


# --- settings against grants


def conflicts(establishment: EstablishmentSettings, agent: str, grants: list[Grant]) -> list[str]:
    """What the platform grants and the sources supply, where they do not go together. `grants` may name other agents."""
    own = {grant.family for grant in grants if (grant.agent, grant.uai) == (agent, establishment.uai)}
    supplied = set(families_of(establishment.sources)) - {"diagnostics"}
    from_log = establishment.sources.connections_source == ACCESS_LOG
    found = [f"{family}: the sources tell of it, and it is not granted: it is not counted" for family in supplied - own]
    found += [f"{family}: granted, and no source tells of it" for family in own - supplied - {"diagnostics"}]
    if from_log and "web" in own and "observed.access-log" not in own:
        found.append(
            "connections come from the access log, and observed.access-log is not granted: they would look unobserved"
        )
    if not from_log and "observed.access-log" in own:
        found.append(
            "connections come from the journal, and observed.access-log is granted: the platform waits for a log "
            "and shows connections as nd"
        )
    return sorted([*found, *_granted_twice(establishment.uai, agent, grants)])


def shared_journals(establishments: Iterable[EstablishmentSettings]) -> dict[str, list[str]]:
    """By UAI, journals that another establishment reads too: a journal names nobody, so each line would count in both."""
    readers: dict[Path, list[str]] = {}
    for each in establishments:
        for path in files.find(each.folder, each.sources.journal_paths)[0]:
            readers.setdefault(path, []).append(each.uai)
    found: dict[str, list[str]] = {}
    for path, uais in readers.items():
        for uai in uais if len(uais) > 1 else ():
            others = ", ".join(other for other in uais if other != uai)
            found.setdefault(uai, []).append(f"{path} is read for {others} too: each of its lines counts in both")
    return found


def _granted_twice(uai: str, agent: str, grants: list[Grant]) -> Iterator[str]:
    here = [grant for grant in grants if grant.uai == uai]
    for one in here:
        for other in here:
            if one.agent == agent != other.agent and one.family == other.family and _overlap(one, other):
                yield f"{one.family}: granted to agent {other.agent} for the same days: it would be counted twice"


def _overlap(one: Grant, other: Grant) -> bool:
    starts = [each.from_day for each in (one, other) if each.from_day]
    ends = [each.to_day for each in (one, other) if each.to_day]
    return not starts or not ends or max(starts) <= min(ends)
