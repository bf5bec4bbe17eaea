"""What is wrong with a census: file, line and reason, in words that never hold anything a file says."""

from __future__ import annotations

from dataclasses import dataclass

from services.collector.errors import CollectorError

REFUSED_ROWS = {
    "same_id": "the same id again, the row is refused",
    "unknown_level": "a level that does not exist, the row is refused",
    "unreadable": "not a row of a CSV file, it is refused",
}
"""Reasons to leave a whole row out."""
BAD_VALUE = "bad_value"
"""Reason to leave a row out of one column: neither empty nor one of the values that the column takes."""
REFUSED_FILES = {
    "future": "the date is later than today: give the folder the date of the export",
    "too_old": "the date is before 1 September 2010, from when there are statistics",
    "not_a_date": "the folder's name is no date of the calendar",
    "unknown_file": "a .csv file that is none of comptes, eleves, personnels, classes, salles: give it one of these names",
    "missing_column": "required column missing",
    "unclosed_quote": "a quotation mark that opens here is not closed on its line, what follows cannot be told apart",
    "too_big": "greater than any census",
    "unreadable": "cannot be read: check that the agent may read it",
}
"""Reasons not to count a file or a folder; the older census stays."""


@dataclass(frozen=True, order=True)
class RowFault:
    """A row refused, or left out of one `column`; `line` counts from 1, the line of the columns."""

    day: str
    file: str
    line: int
    reason: str
    column: str = ""

    def __str__(self) -> str:
        said = f"not a value of {self.column}, left out of it" if self.column else REFUSED_ROWS[self.reason]
        return f"census {self.day}, {self.file}, line {self.line}: {said}"


@dataclass(frozen=True, order=True)
class FileFault:
    """A file that does not count, or (without `file`) a dated folder, or (without `day`) the whole census folder.

    `column` is the required one that is missing; `line` stands where it is known.
    """

    day: str
    file: str
    reason: str
    column: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = [f"census {self.day}".strip(), self.file, f"line {self.line}" if self.line else ""]
        said = f"{REFUSED_FILES[self.reason]} {self.column}".strip()
        return f"{', '.join(filter(None, where))}: {said}"


class RefusedFileError(CollectorError):
    """A file of a census that cannot count; the older one of that school year stays."""

    code = "census_file_refused"

    def __init__(self, fault: FileFault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class NotPutAwayError(CollectorError):
    """A census file was counted but could be neither archived nor deleted: it stays where it is, and counts once all the same."""

    code = "census_not_put_away"
