"""The people of an establishment, drawn from the seed and kept in memory only: journals hold nothing of them but an opaque id.

Pupils come by cohorts that stay as long as there are levels, with their guardians; teachers and staff stay. So the same ids are
met from one school year to the next, as in a real journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2s
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from deploy.local.simulation.habits import HABITS, PROFILES, WEIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deploy.local.simulation.territory import Establishment

    Floats: TypeAlias = NDArray[np.float64]
    Ints: TypeAlias = NDArray[np.int64]

ELEVE, RESPONSABLE, ACCOMPAGNANT, ENSEIGNANT, PERSONNEL = range(len(PROFILES))

GUARDIANS_PER_PUPIL = 1.77
PUPILS_PER_TEACHER = 11.5
PUPILS_PER_STAFF = 17
PUPILS_PER_SUPPORT = 80

_CONCENTRATION = 3.0
"""How much people of one profile differ in their ways: beta laws of this total weight, between all alike and all or nothing."""


@dataclass(frozen=True)
class People:
    """Columns of equal length, one place per account: visits expected on a day of lessons, and shares of the ways in."""

    profile: Ints
    visits: Floats
    software: Floats
    mobile: Floats
    ent: Floats
    who: tuple[str, ...]


@dataclass(frozen=True)
class Population:
    """Everybody of an establishment in one school year."""

    people: People
    pupils: tuple[int, ...]
    """Pupils of each level, in the order of the establishment's `levels`."""
    teachers: int


@lru_cache(maxsize=128)
def population(establishment: Establishment, year: int, seed: int) -> Population:
    """The population of the school year that starts in `year`."""
    size = _size(establishment, seed)
    cohorts = [_cohort(establishment, year - place, size, seed) for place in range(len(establishment.levels))]
    staff = _staff(establishment, size, seed)
    groups = [*staff, *(group for cohort in cohorts for group in cohort)]
    teachers = len(staff[0].who)
    return Population(_joined(groups), tuple(len(cohort[0].who) for cohort in cohorts), teachers)


def _size(establishment: Establishment, seed: int) -> int:
    return int(np.random.default_rng([seed, establishment.number]).integers(*establishment.pupils, endpoint=True))


def _cohort(establishment: Establishment, entry: int, size: int, seed: int) -> list[People]:
    rng = np.random.default_rng([seed, establishment.number, entry])
    pupils = round(size / len(establishment.levels) * rng.uniform(0.96, 1.04))
    guardians = round(pupils * GUARDIANS_PER_PUPIL)
    salt = f"{seed} {establishment.uai} {entry}"
    return [_group(rng, establishment, ELEVE, pupils, salt), _group(rng, establishment, RESPONSABLE, guardians, salt)]


def _staff(establishment: Establishment, size: int, seed: int) -> list[People]:
    rng = np.random.default_rng([seed, establishment.number, 0])
    counts = {
        ENSEIGNANT: size / PUPILS_PER_TEACHER,
        PERSONNEL: size / PUPILS_PER_STAFF,
        ACCOMPAGNANT: size / PUPILS_PER_SUPPORT,
    }
    salt = f"{seed} {establishment.uai}"
    return [_group(rng, establishment, profile, max(1, round(count)), salt) for profile, count in counts.items()]


def _group(rng: np.random.Generator, establishment: Establishment, profile: int, count: int, salt: str) -> People:
    habit = HABITS[profile]
    active = rng.random(count) >= habit.idle
    visits = habit.visits * WEIGHT[establishment.kind][profile] / (1 - habit.idle) * rng.gamma(2.0, 0.5, count) * active
    ids = (blake2s(f"{salt} {profile} {rank}".encode(), digest_size=6).hexdigest() for rank in range(count))
    return People(
        profile=np.full(count, profile),
        visits=visits,
        software=_shares(rng, habit.software, count),
        mobile=_shares(rng, habit.mobile, count),
        ent=_shares(rng, habit.ent if establishment.ent else 0.0, count),
        who=tuple(ids),
    )


def _shares(rng: np.random.Generator, mean: float, count: int) -> Floats:
    if mean == 0:
        return np.zeros(count)
    return rng.beta(_CONCENTRATION * mean, _CONCENTRATION * (1 - mean), count)


def _joined(groups: list[People]) -> People:
    return People(
        profile=np.concatenate([group.profile for group in groups]),
        visits=np.concatenate([group.visits for group in groups]),
        software=np.concatenate([group.software for group in groups]),
        mobile=np.concatenate([group.mobile for group in groups]),
        ent=np.concatenate([group.ent for group in groups]),
        who=tuple(who for group in groups for who in group.who),
    )
