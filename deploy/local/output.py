"""The output of many processes: one colour and name each on the console, one rotated file each on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import click

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green", "bright_blue")
LARGEST_FILE = 5_000_000
"""Bytes of a log file before it is renamed to `.1`; two generations are kept, so a stack's logs stay under 150 MB."""

LAST_WORDS = 40
"""Lines kept in memory to explain why a program ended."""

Print = Callable[[str, str], None]
Choice = Callable[[str, str], bool]
"""Whether a line (the second argument) of a program (the first) is shown."""


class LogFile:
    """A file that starts afresh when it is full; the previous one stays beside it as `.1`."""

    def __init__(self, path: Path, largest: int = LARGEST_FILE) -> None:
        self._path, self._largest = path, largest
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._open()

    def _open(self) -> TextIO:
        return self._path.open("a", encoding="utf-8", buffering=1)

    def write(self, line: str) -> None:
        """Append one line. A full disk must not stop the program whose line this is, so the line is dropped then."""
        try:
            self._file.write(line + "\n")
            if self._file.tell() > self._largest:
                self._rotate()
        except OSError:
            return

    def _rotate(self) -> None:
        self._file.close()
        self._path.replace(self._path.with_name(self._path.name + ".1"))
        self._file = self._open()

    def close(self) -> None:
        try:
            self._file.close()
        except OSError:
            return


class Voice:
    """One program's output: to its file, to the console where wanted, and its last words to whoever asks."""

    def __init__(self, label: str, file: LogFile, show: Print | None) -> None:
        self._label, self._file, self._show = label, file, show
        self.last_words: deque[str] = deque(maxlen=LAST_WORDS)

    def hear(self, line: str) -> None:
        """One line, without its end."""
        self.last_words.append(line)
        self._file.write(line)
        if self._show:
            self._show(self._label, line)

    def close(self) -> None:
        self._file.close()


class Output:
    """Gives each program its voice. `show` says which lines reach the console; without it none does."""

    def __init__(self, folder: Path, show: Choice | None = None, width: int = 12) -> None:
        self.folder = folder
        self._show, self._width, self._voices = show, width, 0
        folder.mkdir(parents=True, exist_ok=True)

    def voice(self, name: str) -> Voice:
        label = click.style(f"{name:<{self._width}}│", fg=COLOURS[self._voices % len(COLOURS)])
        self._voices += 1
        return Voice(label, LogFile(self.path(name)), self._printer(name, self._show) if self._show else None)

    def path(self, name: str) -> Path:
        """The file of one program's output."""
        return self.folder / f"{name}.log"

    def _printer(self, name: str, shown: Choice) -> Print:
        return lambda label, line: click.echo(f"{label} {line}") if shown(name, line) else None
