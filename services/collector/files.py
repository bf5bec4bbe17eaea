"""Following files: known by how they begin, read on in decompressed bytes wherever they went (rules.md 3)."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from glob import glob, has_magic
from hashlib import blake2b
from itertools import accumulate
from typing import TYPE_CHECKING, BinaryIO, Self

from services.collector.errors import UnreadableSourceError
from services.collector.journal import LONGEST_LINE, instant_of
from services.collector.process import open_to_read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

HEAD = 4096
"""Bytes at the beginning of a file by which it is known, or fewer while it is shorter."""
BLOCK = 256 * 1024
"""Bytes handled at a time."""
LONGEST_GARBAGE = 256 * 1024 * 1024
"""Bytes without a newline after which a file is taken for a decompression bomb, or for no journal, and left."""
MOST_EXPANDED, EXPANDED_FREELY = 500, 16 * 1024 * 1024
"""How many times its size an archive may expand to, looked at past so many bytes.

Access logs and journals are compressed ten to fifty times, one line repeated without any change some 350; a bomb of gzip's a
thousand. So what one can cost is bounded by its own size, and before that by a few seconds.
"""
MOST_EMPTY = 1000
"""Members of an archive in a row that hold nothing: a file full of them would keep the agent busy without a byte to count."""
LARGEST_ARCHIVE = 64 * 1024**3
"""Bytes of an expanded archive: three hundred million lines, more than a hosting site of a thousand establishments writes in a day."""
_GZIP = b"\x1f\x8b"
InstantOf = Callable[[bytes], float | None]
"""When a line of a source says it happened."""
UNREADABLE_TEXT = b"\xff"
"""Stands for a line that is not UTF-8, so that the decoder sets it aside wherever the fault is."""


def find(folder: Path, patterns: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Files that patterns name, each once, and the patterns that name none."""
    found: dict[Path, None] = {}
    missing = []
    for pattern in patterns:
        path = folder / pattern
        matches = [path] if os.path.exists(path) else _matches(folder, pattern)  # noqa: PTH110 - False where one may not look, too
        if not matches:
            missing.append(pattern)
        found.update(dict.fromkeys(match.resolve() for match in matches))
    return list(found), missing


def _matches(folder: Path, pattern: str) -> list[Path]:
    if not has_magic(pattern):
        return []
    paths = (folder / name for name in glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207 - takes `..` and absolute paths
    return sorted(path for path in paths if os.path.isfile(path))  # noqa: PTH113 - as above


def digest(head: bytes) -> bytes:
    """By which a beginning is recognised."""
    return blake2b(head, digest_size=16).digest()


@dataclass
class Stretch:
    """Lines in a row. `end` is the position after them, in decompressed bytes; `raw` is what they were split from.

    `whole`: they all end in a newline; else it is the one last line of a file that does not, yet.
    """

    lines: list[bytes]
    end: int
    raw: bytes
    whole: bool = True

    def end_of(self, count: int) -> int:
        """Position after the first `count` lines; what was passed over belongs to the first."""
        return self.end if count == len(self.lines) else self.end - (len(self.raw) + 1 - self._ends[count])

    @cached_property
    def _ends(self) -> list[int]:
        """Where each line ends in `raw`; worked out once, for sources that change from file to file at every line."""
        return list(accumulate((len(line) + 1 for line in self.raw.split(b"\n")), initial=0))


@dataclass(frozen=True)
class KnownHead:
    """How a known file begins: digest of its first `length` bytes.

    Not `current`: how it began when it was shorter. That recognises a copy made then, and nothing longer.
    """

    file: int
    length: int
    digest: bytes
    current: bool


def recognise(head: bytes, known: Sequence[KnownHead]) -> int | None:
    """The known file that begins as `head` does; the longest agreement wins."""
    complete = head.rfind(b"\n") + 1 if len(head) < HEAD else 0
    digests: dict[int, bytes] = {}
    best: KnownHead | None = None
    for each in known:
        usable = each.length <= len(head) if each.current else each.length in (complete, len(head))
        if not usable or not each.length or (best and best.length >= each.length):
            continue
        if each.length not in digests:
            digests[each.length] = digest(head[: each.length])
        if digests[each.length] == each.digest:
            best = each
    return best.file if best else None


class Content:
    """Decompressed bytes of a plain or gzip file, front to back; `UnreadableSourceError` where the archive is broken.

    `limit`: read no further than so many bytes.
    """

    def __init__(self, path: Path, limit: float = math.inf) -> None:
        self.path, self._left = path, limit
        try:
            self._file: BinaryIO = open_to_read(path)
            self._gzip = self._file.read(2) == _GZIP
        except OSError as error:
            raise UnreadableSourceError(f"{path}: {error.strerror}") from error
        self._file.seek(0)
        self._inflater = zlib.decompressobj(wbits=31)
        self._rest = b""
        self._inflated = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end."""
        size = int(min(size, self._left))
        try:
            found = (self._inflate(size) if self._gzip else self._file.read(size)) if size else b""
        except (OSError, zlib.error) as error:
            raise UnreadableSourceError(f"{self.path}: {error}") from error
        self._left -= len(found)
        return found

    def skip(self, position: int) -> bool:
        """Go to a position from the beginning; False when the content ends before it."""
        if not self._gzip:
            end = self._file.seek(0, 2)
            self._left -= self._file.seek(min(position, end))
            return position <= end
        while position:
            block = self.read(min(position, BLOCK))
            if not block:
                return False
            position -= len(block)
        return True

    def _inflate(self, size: int) -> bytes:
        """Never more than `size` bytes at once, whatever the archive would expand to."""
        empty = 0
        while empty < MOST_EMPTY:
            if self._inflater.eof:
                empty += 1
                self._rest = self._inflater.unused_data or self._file.read(BLOCK)
                if not self._rest.strip(b"\0"):
                    return b""
                self._inflater = zlib.decompressobj(wbits=31)
            given = self._rest or self._file.read(BLOCK)
            found = self._inflater.decompress(given, size)
            self._rest = self._inflater.unconsumed_tail
            if found:
                self._allow(len(found))
                return found
            if not given and not self._inflater.eof:
                raise UnreadableSourceError(f"{self.path}: the archive is cut short")
        raise UnreadableSourceError(f"{self.path}: the archive holds {MOST_EMPTY} empty members in a row")

    def _allow(self, inflated: int) -> None:
        """Refuse a decompression bomb, whatever is in it, once it shows."""
        self._inflated += inflated
        if self._inflated > LARGEST_ARCHIVE:
            raise UnreadableSourceError(f"{self.path}: the archive expands to over {LARGEST_ARCHIVE >> 30} GB")
        read = self._file.tell() - len(self._rest)
        if self._inflated > EXPANDED_FREELY and self._inflated > MOST_EXPANDED * read:
            raise UnreadableSourceError(f"{self.path}: the archive expands to over {MOST_EXPANDED} times its size")


def head_of(path: Path) -> bytes:
    """The first bytes of a file, decompressed; what a broken archive gives before it breaks."""
    head = b""
    with Content(path) as content:
        while len(head) < HEAD:
            try:
                block = content.read(HEAD - len(head))
            except UnreadableSourceError:
                break
            if not block:
                break
            head += block
    return head


def first_instant(head: bytes, instant_of: InstantOf = instant_of) -> float:
    """When the first dated line of a file happened; files without one come last."""
    found = (instant_of(line) for line in head.split(b"\n"))
    return next((instant for instant in found if instant is not None), float("inf"))


def last_instant(lines: Sequence[bytes]) -> float | None:
    """When the last of some lines happened, None when it does not say."""
    return instant_of(lines[-1])


def stretches(content: Content, position: int, *, text: bool = True) -> Iterator[Stretch]:
    """Lines from `position` on, a last one without newline apart. Memory stays flat. `text`: all is to be UTF-8.

    A line over the limit comes out as one byte that nobody can read, its own bytes being passed over.
    """
    if not content.skip(position):
        return
    rest, passed = b"", 0
    while block := content.read(BLOCK):
        whole, newline, tail = block.rpartition(b"\n")
        if not newline:
            rest, passed = _lengthen(content, rest, passed, block)
            continue
        joined = rest + whole
        position += passed + len(joined) + 1
        yield Stretch(_split(joined, passed, text=text), position, joined)
        rest, passed = _lengthen(content, b"", 0, tail)
    if rest or passed:
        yield Stretch(_split(rest, passed, text=text), position + passed + len(rest), rest, whole=False)


def _lengthen(content: Content, rest: bytes, passed: int, block: bytes) -> tuple[bytes, int]:
    """The unfinished line with `block` added: its bytes, or only how many were passed over once it is too long."""
    if passed + len(rest) + len(block) > LONGEST_GARBAGE:
        raise UnreadableSourceError(f"{content.path}: {LONGEST_GARBAGE} bytes without a newline")
    if passed or len(rest) + len(block) > LONGEST_LINE + 1:
        return b"", passed + len(rest) + len(block)
    return rest + block, 0


def _split(joined: bytes, passed: int, *, text: bool) -> list[bytes]:
    lines = joined.split(b"\n")
    if passed:
        lines[0] = UNREADABLE_TEXT
    if max(map(len, lines)) > LONGEST_LINE:
        lines = [line if len(line.removesuffix(b"\r")) <= LONGEST_LINE else UNREADABLE_TEXT for line in lines]
    return lines if not text or _is_text(joined) else [line if _is_text(line) else UNREADABLE_TEXT for line in lines]


def _is_text(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
