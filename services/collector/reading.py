"""Sources made of files that are followed together, oldest first, each batch committed with its positions; the journal is one."""

from __future__ import annotations

import math
import stat
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from services.collector import files
from services.collector.counting import Count
from services.collector.errors import UnreadableSourceError
from services.collector.files import Content, InstantOf, Stretch
from services.collector.journal import instant_of
from services.collector.observation import APART, Heartbeats
from services.collector.small import SmallProfiles
from services.collector.sources import JOURNAL
from services.collector.store import SourceState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from services.collector.config import EstablishmentSettings
    from services.collector.people import SetKey, StoredSet
    from services.collector.store import Store

COMMIT_BYTES = 4 * 1024 * 1024
"""Read between two commits: some 30,000 lines, a few tenths of a second, little enough to be read again after a crash."""
ABREAST = 6 * 3600.0
"""Seconds of its own time by which one file of a source may run ahead of another while several are read."""


class Signature(NamedTuple):
    """What changes when a file does."""

    size: int
    changed: int
    inode: int


def _signature(path: Path) -> Signature:
    """Of a file, or of a folder that will not open; opening a pipe would wait for whoever writes to it."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise UnreadableSourceError(f"{path}: not a regular file")
    return Signature(status.st_size, status.st_mtime_ns, status.st_ino)


class Follower:
    """One file being read: from where it was left, a stretch of lines at a time."""

    def __init__(self, path: Path, signature: Signature, head: bytes, clock: float, *, text: bool) -> None:
        self.path, self.signature, self.head, self.clock, self._text = path, signature, head, clock, text
        self.file: int | None = None
        self.position = self.committed = 0
        self.ready = False
        self._content = ExitStack()
        self._stretches: Iterator[Stretch] = iter(())
        self._current: Stretch | None = None
        self._taken = 0

    def open(self, file: int | None, position: int, *, limit: float = math.inf) -> None:
        """Start at the position at which the file, known or new, was left."""
        self.file, self.position, self.committed, self.ready = file, position, position, True
        content = self._content.enter_context(Content(self.path, limit))
        self._stretches = files.stretches(content, position, text=self._text)

    def lines(self) -> list[bytes]:
        """Whole lines that come next; none at the end."""
        if self._current is None or self._taken == len(self._current.lines):
            self._current, self._taken = None, 0  # so that where a file breaks there is no last line of it
            self._current = next(self._stretches, None)
        return self._current.lines[self._taken :] if self._current and self._current.whole else []

    def tail(self) -> list[bytes]:
        """At the end: the last line, where it has no newline."""
        return self._current.lines if self._current else []

    def take(self, count: int) -> None:
        """The first `count` of those lines are counted."""
        if self._current is not None:
            self._taken += count
            self.position = self._current.end_of(self._taken)

    def close(self) -> None:
        self._content.close()


class FollowedSource(ABC):
    """The files of one source of one establishment.

    `problems` says, file by file, why its end could not be stood at; `lines` and `set_aside` count since the process started.
    """

    name = ""
    text = True
    instant_of: ClassVar[InstantOf] = staticmethod(instant_of)

    def __init__(self, establishment: EstablishmentSettings, number: int, store: Store) -> None:
        self._establishment, self._number, self._store = establishment, number, store
        self._followers: dict[Path, Follower] = {}
        self._tails: list[Follower] = []
        self._finished: dict[Path, Signature] = {}
        self._broken: dict[Path, str] = {}
        self.secret = store.secret
        self.lines = 0
        self.set_aside: Counter[str] = Counter()
        self.problems: list[str] = []

    @property
    @abstractmethod
    def patterns(self) -> tuple[str, ...]:
        """Paths and globs that name the files."""

    def stored(self, key: SetKey) -> StoredSet | None:
        """What is stored of a set of this establishment's people."""
        return self._store.stored_set(self._number, key)

    def turn(self, now: datetime, *, budget: int, to_the_end: bool) -> bool:
        """Read about `budget` bytes on; True once the end of every file is reached and none is missing or broken."""
        paths, missing = files.find(self._establishment.folder, self.patterns)
        self._follow(paths)
        try:
            self._read(now, budget)
            if not self._followers:
                self._read_tails(now, wanted=to_the_end)
        except BaseException:
            self.close()
            raise
        self.problems = [f"{pattern}: no such file" for pattern in missing]
        self.problems += [self._broken[path] for path in paths if path in self._broken]
        return not self._followers and not self.problems

    @property
    def unread(self) -> bool:
        """Whether there is more to read at once."""
        return bool(self._followers)

    def close(self) -> None:
        """Forget what is being read; the next turn starts from what was committed."""
        for follower in (*self._followers.values(), *self._tails):
            follower.close()
        self._followers.clear()
        self._tails.clear()
        self._finished.clear()

    # --- which files

    def _follow(self, paths: list[Path]) -> None:
        for path in paths:
            if path not in self._followers:
                self._follow_if_changed(path)
        for follower in self._followers.values():
            if follower.clock == math.inf and follower.head and not follower.ready:
                follower.clock = self._clock_of_longer_copies(follower.head)

    def _clock_of_longer_copies(self, head: bytes) -> float:
        """The time of the files that begin like `head`: a copy made before a dated line was written has none of its own.

        Read after what it was made of, it would be too short to be known by how that begins by then, and be counted again; at
        the same time, the shorter goes first.
        """
        return min(each.clock for each in self._followers.values() if each.head.startswith(head))

    def _follow_if_changed(self, path: Path) -> None:
        try:
            signature = _signature(path)
            if self._finished.get(path) != signature:
                self._broken.pop(path, None)
                self._followers[path] = self._follower(path, signature)
        except OSError as error:
            self._broken[path] = f"{path}: {error.strerror}"
        except UnreadableSourceError as error:
            self._broken[path] = str(error)

    def _follower(self, path: Path, signature: Signature) -> Follower:
        head = files.head_of(path)
        return Follower(path, signature, head, files.first_instant(head, type(self).instant_of), text=self.text)

    def _finish(self, follower: Follower) -> None:
        """Read to its end; a last line without newline waits for what may come."""
        self._finished[follower.path] = follower.signature
        del self._followers[follower.path]
        if follower.tail():
            self._tails.append(follower)
        else:
            follower.close()

    def _identify(self, follower: Follower) -> None:
        """Recognise a file once its turn comes; a copy of one that is being read waits until that one is finished."""
        file = self._recognise(follower)
        if file is not None and any(other.file == file for other in self._followers.values()):
            follower.clock = math.inf
        else:
            self._open(follower, file)

    def _open(self, follower: Follower, file: int | None) -> None:
        follower.open(file, self._position(file))

    def _recognise(self, follower: Follower) -> int | None:
        return files.recognise(follower.head, self._store.heads(self._number, self.name))

    def _position(self, file: int | None) -> int:
        return 0 if file is None else self._store.position(file)

    # --- reading

    def _read(self, now: datetime, budget: int) -> None:
        count, moved = self._new_count(now), 0
        while self._followers and budget > 0:
            follower = min(self._followers.values(), key=lambda each: (each.clock, len(each.head)))
            if not follower.ready:
                moved = self._commit(count, now)
                self._identify(follower)
                continue
            taken = self._advance(count, follower, now)
            moved, budget = moved + taken, budget - taken
            if moved >= COMMIT_BYTES:
                moved = self._commit(count, now)
        self._commit(count, now)

    def _advance(self, count: Count, follower: Follower, now: datetime) -> int:
        """Count what comes next in a file; returns how many bytes that was."""
        before = follower.position
        lines = self._next_lines(follower)
        if not lines:
            self._ended(count, follower, now)
            return 0
        count.last = follower.clock
        taken = self._take(count, lines, self._abreast_of(follower))
        follower.take(taken)
        follower.clock = max(follower.clock, count.last) if math.isfinite(follower.clock) else count.last
        self.lines += taken
        return follower.position - before

    def _next_lines(self, follower: Follower) -> list[bytes]:
        """None at the end, nor where a file breaks."""
        try:
            return follower.lines()
        except UnreadableSourceError as error:
            self._broken[follower.path] = str(error)
            return []

    def _read_tails(self, now: datetime, *, wanted: bool) -> None:
        """Last lines without newline, of files of which no copy has more, the longer copy first; unless they are to wait."""
        count = self._new_count(now)
        for follower in sorted(self._tails, key=lambda each: -each.signature.size):
            follower.file = follower.file or self._recognise(follower)
            if wanted and self._position(follower.file) == follower.position:
                self._take_tail(count, follower, now)
                follower.take(1)
                self.lines += 1
                self._commit(count, now, [follower])
            follower.close()
        self._tails.clear()

    def _take_tail(self, count: Count, follower: Follower, now: datetime) -> None:  # noqa: ARG002 - other sources need it
        count.take(follower.tail())

    def _abreast_of(self, follower: Follower) -> float:
        others = (other.clock for other in self._followers.values() if other is not follower)
        return min(others, default=math.inf) + ABREAST

    def _take(self, count: Count, lines: list[bytes], abreast: float) -> int:
        """Count lines until they run ahead of the other files; line by line only where they do."""
        last = files.last_instant(lines)
        if abreast == math.inf or (last is not None and last <= abreast):
            count.take(lines)
            return len(lines)
        for place, line in enumerate(lines, 1):
            count.take((line,))
            if count.last > abreast:
                return place
        return len(lines)

    def _ended(self, count: Count, follower: Follower, now: datetime) -> None:
        """Commit before it is let go: a copy that waits for it starts where it ended."""
        self._commit(count, now)
        self._finish(follower)

    # --- committing

    def _new_count(self, now: datetime) -> Count:
        store, state = self._store, self._store.source(self._number, self.name)
        return Count(
            self._establishment,
            SmallProfiles(self._establishment.type, store.small_profiles(self._number)),
            self,
            now=now,
            dropped=store.dropped_days(self._number),
            heartbeats=Heartbeats(store.heartbeats(self._number, self.name)),
            newest=-math.inf if state.newest is None else state.newest,
            source=self.name,
        )

    def _commit(self, count: Count, now: datetime, followers: Iterable[Follower] | None = None) -> int:
        """Write counts, people and positions in one transaction; returns 0, what is then left to commit."""
        read = self._followers.values() if followers is None else followers
        moved = [follower for follower in read if follower.position != follower.committed]
        if moved:
            self._write(count, now, moved)
        return 0

    def _write(self, count: Count, now: datetime, moved: Iterable[Follower] = ()) -> None:
        gathered = count.gather()
        self.set_aside.update(gathered.set_aside)
        with self._store.transaction():
            self._store.add_gathered(self._number, gathered, now=now.timestamp(), restatement=0)
            self._save_source(count)
            for follower in moved:
                self._save_position(follower)
        count.forget_names()

    def _save_position(self, follower: Follower) -> None:
        if follower.file is None:
            follower.file = self._store.add_file(self._number, self.name)
        head = follower.head[: follower.position]
        self._store.save_file(follower.file, follower.position, len(head), files.digest(head))
        follower.committed = follower.position

    def _save_source(self, count: Count) -> None:
        """First and newest instants, heartbeats, and from where observation must be worked out again."""
        state = self._store.source(self._number, self.name)
        earliest = min(count.earliest, math.inf if state.earliest is None else state.earliest)
        if count.beaten_from < math.inf:
            self._store.save_heartbeats(self._number, self.name, count.heartbeats.spans)
        if earliest < math.inf:
            again = -math.inf if earliest == count.earliest else count.beaten_from - APART
            observed = None if state.observed is None or again == -math.inf else min(state.observed, again)
            self._store.save_source(self._number, self.name, SourceState(earliest, count.newest, state.stood, observed))


class JournalSource(FollowedSource):
    """The journal of one establishment."""

    name = JOURNAL

    @property
    def patterns(self) -> tuple[str, ...]:
        return self._establishment.sources.journal_paths
