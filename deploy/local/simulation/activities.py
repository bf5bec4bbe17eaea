"""What an establishment does besides connecting: each measure's rate, who does it and when it happens. All rates are guesses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from deploy.local.simulation.population import ELEVE, ENSEIGNANT, PERSONNEL, Population

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from deploy.local.simulation.territory import Establishment

    Floats: TypeAlias = NDArray[np.float64]
    Ints: TypeAlias = NDArray[np.int64]

Base = Literal["teacher", "pupil", "school"]


@dataclass(frozen=True)
class Activity:
    """A measure: how many a day of lessons per teacher, pupil or school, whose rhythm it follows, how many a line.

    `by_level`: the export tells the level; `only`: levels where it exists, all where empty. `school_only`: never on a day without lessons.
    """

    measure: str
    rate: float
    base: Base
    actor: int
    batch: float = 1.0
    by_level: bool = True
    only: tuple[str, ...] = ()
    school_only: bool = False


def _teaching(measure: str, rate: float, batch: float = 1.0) -> Activity:
    return Activity(measure, rate, "teacher", ENSEIGNANT, batch)


def _pupils_work(measure: str, rate: float, batch: float = 1.0) -> Activity:
    return Activity(measure, rate, "pupil", ELEVE, batch)


def _office(measure: str, rate: float, batch: float = 1.0, *, by_level: bool = False) -> Activity:
    return Activity(measure, rate, "school", PERSONNEL, batch, by_level)


def _school_life(measure: str, rate: float) -> Activity:
    return Activity(measure, rate, "pupil", PERSONNEL, school_only=True)


ACTIVITIES = (
    _teaching("quizzes", 0.03),
    _pupils_work("quizzes_submitted", 0.025),
    _teaching("documents", 0.35),
    _teaching("web_links", 0.08),
    _teaching("textbooks", 0.004),
    _teaching("textbook_accesses_teachers", 0.3),
    _pupils_work("textbook_accesses_pupils", 0.12),
    _teaching("forums", 0.004),
    _teaching("lesson_contents", 2.2),
    _teaching("work_given", 0.9),
    _teaching("work_online", 0.12),
    _pupils_work("copies_handed_in", 0.05),
    _teaching("copies_corrected", 0.35, batch=12),
    _teaching("marks", 6.5, batch=25),
    _teaching("evaluations_marked", 0.26),
    _teaching("evaluations_competence", 0.11),
    _teaching("evaluations_with_subject", 0.05),
    _teaching("evaluations_with_key", 0.03),
    Activity("placements", 0.0015, "pupil", PERSONNEL, only=("3EME", "1ERE", "TALE"), school_only=True),
    _teaching("discussions", 0.45),
    _teaching("messages", 1.125),  # 2.5 messages per discussion (published)
    _teaching("messages_received", 3.4, batch=4),
    _teaching("informations", 0.05),
    _office("polls", 0.3, by_level=True),
    _office("printed_documents", 14, batch=5, by_level=True),
    _office("emails", 40, batch=20, by_level=True),
    _office("sms", 18, batch=3, by_level=True),
    _office("maileva_letters", 0.3, batch=5, by_level=True),
    _office("pdf_documents", 6, batch=2, by_level=True),
    _office("agenda_events", 0.8),
    _office("locker_documents", 4, batch=10, by_level=True),
    _office("useful_links", 0.02),
    _office("blog_posts", 0.05),
    _office("requests_maintenance", 0.5),
    _office("requests_it", 0.35),
    _office("requests_secretarial", 0.15),
    _office("requests_order", 0.1),
    _school_life("absence_half_days", 0.05),
    _school_life("lateness", 0.025),
    _school_life("punishments", 0.009),
    _school_life("sanctions", 0.0015),
    _school_life("incidents", 0.0025),
    _school_life("lesson_exclusions", 0.002),
    _school_life("protective_measures", 0.0004),
)


@dataclass(frozen=True)
class Agenda:
    """Columns of equal length, one place per measure and level: lines expected on a day of lessons, and how they read."""

    actor: Ints
    lines: Floats
    batch: Floats
    school_only: NDArray[np.bool_]
    what: tuple[tuple[str, str], ...]
    """Measure and level, '' where none is told."""
    texts: tuple[str, ...]
    """The line from its kind on, its `n` and closing brace left open."""


def agenda_of(establishment: Establishment, crowd: Population) -> Agenda:
    return agenda(establishment.levels, crowd.pupils, crowd.teachers)


@lru_cache(maxsize=128)
def agenda(levels: tuple[str, ...], pupils: tuple[int, ...], teachers: int) -> Agenda:
    """What an establishment with these pupils by level and these teachers does on a day of lessons."""
    rows = [row for activity in ACTIVITIES for row in _rows(activity, dict(zip(levels, pupils, strict=True)), teachers)]
    activities = [activity for activity, _, _ in rows]
    return Agenda(
        actor=np.array([activity.actor for activity in activities]),
        lines=np.array([lines for _, _, lines in rows]),
        batch=np.array([activity.batch for activity in activities]),
        school_only=np.array([activity.school_only for activity in activities]),
        what=tuple((activity.measure, level) for activity, level, _ in rows),
        texts=tuple(_text(activity, level) for activity, level, _ in rows),
    )


def _rows(activity: Activity, pupils: dict[str, int], teachers: int) -> Iterator[tuple[Activity, str, float]]:
    everybody = sum(pupils.values())
    lines = activity.rate * {"teacher": teachers, "pupil": everybody, "school": 1}[activity.base] / activity.batch
    if not activity.by_level:
        yield activity, "", lines
        return
    for level, count in pupils.items():
        if not activity.only or level in activity.only:
            yield activity, level, lines * count / everybody


def _text(activity: Activity, level: str) -> str:
    told = f',"level":"{level}"' if level else ""
    return f'activity","measure":"{activity.measure}"{told}'
