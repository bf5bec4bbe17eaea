"""Files of a log that come late, are refused for a while or are truncated while they are read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.services.collector.access_log.test_source import LOG, START, days, made, session
from tests.services.collector.school import School
from tests.support.access_logs import host_first, write


@pytest.fixture
def school(make_school: Any) -> School:
    found: School = make_school(sources=LOG)
    return found


def test_a_file_that_appears_late_is_read_from_its_beginning(school: School) -> None:
    hits, expected, _ = made(5)
    half = len(hits) // 2
    write(school.folder / "access.log", [host_first(hit) for hit in hits[half:]])
    school.read(to_the_end=False)
    write(school.folder / "access.log.1", [host_first(hit) for hit in hits[:half]])
    school.read()
    whole, found = sum(expected.values()), sum(days(school).values())
    assert whole - 20 < found <= whole, "only sessions over the cut may be lost"


def test_none_yet_is_told_and_read_once_it_is_there(school: School) -> None:
    school.read()
    assert school.service.problems == ["access*: no such file"]
    write(school.folder / "access.log", [host_first(hit) for hit in session(START)])
    assert days(school.read()) == {("2026-10-24", "eleve.web.unknown"): 1}
    assert school.service.problems == []


def test_a_file_unreadable_for_a_while_is_told_and_read_on(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(school.folder / "access.log", [host_first(hit) for hit in session(START)])
    write(school.folder / "access-other.log", [host_first(hit) for hit in session(START, number=78)])
    school.read()
    opened = Path.open

    def refused(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self == path:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(self, *args, **kwargs)

    lines = [host_first(hit) + b"\n" for hit in session(START + timedelta(hours=1), number=79)]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refused)
        with opened(path, "ab") as file:
            file.writelines(lines)
        write(school.folder / "access-late.log", [host_first(hit) for hit in session(START, number=80)])
        assert days(school.read()) == {("2026-10-24", "eleve.web.unknown"): 3}
        assert school.service.problems == [f"{path}: Permission denied"]
    assert days(school.read()) == {("2026-10-24", "eleve.web.unknown"): 4}
    assert school.service.problems == []


def test_copied_and_truncated_while_it_is_read(school: School) -> None:
    path = write(school.folder / "access.log", [host_first(hit) for n in range(40) for hit in session(START, number=n)])
    school.service.turn(school.now, budget=1, to_the_end=False)
    (school.folder / "access.log.1").write_bytes(path.read_bytes())
    write(path, [host_first(hit) for hit in session(START + timedelta(minutes=1), number=99)])
    school.read()  # what was read of it before, and its copy
    assert days(school.read()) == {("2026-10-24", "eleve.web.unknown"): 41}
