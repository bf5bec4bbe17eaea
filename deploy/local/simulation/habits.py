"""How often, when and by which way each profile comes. Orders of magnitude are published; hourly and weekly shapes are INVENTED.

Published (reference-data.md): about one connection per account holder on a working day; pupils 40 %, parents 37 %, teachers
19 %, staff 3 % of visits; 54 % of pupils' and 82 % of parents' visits by smartphone. No hourly curve is published by anyone: the
curves, the days of the week and the holidays below are guesses that look plausible on a chart, and prove nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deploy.local.simulation.schooldays import LESSON_KINDS, Kind

PROFILES = ("eleve", "responsable", "accompagnant", "enseignant", "personnel")
"""Profiles of connections; everywhere in this package a profile is its place here."""


@dataclass(frozen=True)
class Habit:
    """Means over a profile: visits per account on a day of lessons, accounts never used, and shares of the visits.

    `software` is a share of all visits, `mobile` of those by web or mobile, `ent` of those by web where there is an ENT.
    """

    visits: float
    idle: float
    software: float
    mobile: float
    ent: float


HABITS = (
    Habit(visits=1.17, idle=0.03, software=0.0, mobile=0.54, ent=0.60),
    Habit(visits=0.61, idle=0.12, software=0.0, mobile=0.82, ent=0.40),
    Habit(visits=0.90, idle=0.10, software=0.0, mobile=0.40, ent=0.40),
    Habit(visits=6.30, idle=0.01, software=0.30, mobile=0.25, ent=0.50),
    Habit(visits=1.50, idle=0.05, software=0.70, mobile=0.10, ent=0.35),
)

WEIGHT = {
    "college": (1.0, 1.0, 1.0, 1.0, 1.0),
    "lycee": (1.15, 0.7, 1.0, 0.9, 1.0),
    "ecole": (0.08, 0.55, 0.8, 0.45, 0.7),
}
"""Visits of each profile by kind of establishment, against a collège. Invented: pupils of an école hardly come by themselves."""

ENT_BY_MOBILE = 0.35
"""The app mostly goes straight to the server: the share through the ENT is that of the web, times this."""

ACCESS_UNKNOWN = 0.01
"""Share of web and mobile visits whose way in the export could not tell."""

RHYTHM = np.array(
    [  # lessons, Wednesday, Saturday, Sunday, holidays, week-ends in them, summer
        [1.00, 0.75, 0.35, 0.55, 0.12, 0.09, 0.03],
        [1.00, 0.80, 0.30, 0.42, 0.13, 0.10, 0.04],
        [1.00, 0.50, 0.06, 0.10, 0.04, 0.02, 0.01],
        [1.00, 0.55, 0.22, 0.45, 0.16, 0.12, 0.04],
        [1.00, 0.60, 0.03, 0.03, 0.25, 0.02, 0.08],
    ]
)
"""Visits of each profile on each kind of day, against a day of lessons. Invented."""

SEASON = np.array([1.0, 0.97, 1.04, 0.97, 0.92, 0.86, 0.7, 0.9, 1.12, 1.0, 1.05, 1.08])
"""Days of lessons month by month, January first: a lively September, class councils, a tired June. Invented."""

DAILY_NOISE = 0.06
"""Standard deviation of a whole day's liveliness, in logarithm."""

_LESSONS = (
    "0.4 0.1 0.1 0.1 0.2 0.8 4.0 8.5 5.0 3.5 5.0 4.5 6.5 6.0 3.5 4.5 8.0 11 10 7.0 5.5 3.5 1.6 0.8",
    "0.3 0.1 0.1 0.1 0.2 0.9 3.5 7.5 7.0 4.5 4.5 4.5 6.5 5.5 4.5 4.5 7.0 9.5 10 8.0 6.0 3.8 1.8 0.7",
    "0.1 0.1 0.1 0.1 0.1 0.3 1.5 7.5 12 9.0 9.5 7.5 6.5 8.5 8.5 7.5 7.0 5.0 3.0 2.0 1.5 1.0 0.5 0.2",
    "0.2 0.1 0.1 0.1 0.2 0.6 3.5 9.5 10 8.0 8.5 7.5 5.5 8.0 8.0 7.0 6.5 5.0 3.5 3.0 3.2 2.4 1.2 0.5",
    "0.1 0.1 0.1 0.1 0.1 0.3 2.0 10 13 11 11 9.0 5.0 9.0 9.5 8.5 7.0 3.5 1.5 0.8 0.5 0.3 0.2 0.1",
)
_AT_HOME = "0.8 0.4 0.2 0.1 0.1 0.2 0.6 1.5 3.0 5.0 7.0 7.5 6.0 5.5 6.0 6.5 7.0 8.0 9.0 9.0 8.0 6.0 3.5 1.6"
_OFFICE = "0.1 0.1 0.1 0.1 0.1 0.2 1.0 5.0 12 13 12 10 4.0 8.0 10 9.0 7.0 3.0 1.0 0.5 0.5 0.4 0.3 0.1"

CURVES = np.array(
    [
        [[float(hour) for hour in curve.split()] for curve in _LESSONS],
        [[float(hour) for hour in curve.split()] for curve in (*[_AT_HOME] * (len(PROFILES) - 1), _OFFICE)],
    ]
)
"""Weight of each local hour, by kind (day of lessons, any other day), profile and hour. Invented."""


def liveliness(kind: Kind, month: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Visits of each profile on such a day, against an average day of lessons."""
    factors: np.ndarray[tuple[int], np.dtype[np.float64]] = RHYTHM[:, kind]
    return factors * SEASON[month - 1] if kind in LESSON_KINDS else factors


def curves(kind: Kind) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Weight of each local hour for each profile on such a day."""
    chosen: np.ndarray[tuple[int, int], np.dtype[np.float64]] = CURVES[0 if kind in LESSON_KINDS else 1]
    return chosen
