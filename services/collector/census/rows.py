"""From the bytes of a census file to its rows: strict UTF-8 else Windows-1252, `;`, the first line names the columns. Pure."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BOM = b"\xef\xbb\xbf"


class UnclosedQuoteError(ValueError):
    """A field opened by a quotation mark swallows the following lines: rows after it cannot be trusted."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


def text_of(content: bytes) -> str:
    """Decode a file; never fails: content with one of the five bytes that Windows-1252 lacks is read as Latin-1, its subset."""
    content = content.removeprefix(BOM)
    for encoding in ("utf-8", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def rows_of(text: str) -> Iterator[tuple[int, list[str] | None]]:
    """(line, cells) of each row, cells trimmed; None where one line is no CSV. Rows without any cell filled are nothing.

    The first row comes whatever it holds. `UnclosedQuoteError` where a fault spans several lines. A field that is opened by
    mistake and closed by another mistake just before a `;` cannot be told from a text of several lines: its rows are missed.
    """
    reader = csv.reader(StringIO(text, newline=""), delimiter=";", strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error:
            if reader.line_num > line:
                raise UnclosedQuoteError(line) from None
            yield line, None
            continue
        if line == 1 or any(cells):
            yield line, cells
