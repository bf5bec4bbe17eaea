"""A figure, what was aimed at, and how both are shown: the same shape in every bench and in results.json.

Aims are data, in goals.toml: a bench gives a name, a value and a unit, and nothing else.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TypedDict

import click
import msgspec
import numpy as np

GOALS = Path(__file__).with_name("goals.toml")


class Result(TypedDict):
    """One line of results.json; `goal` is None where a figure is only told, `value` where it could not be measured."""

    name: str
    value: float | None
    unit: str
    goal: float | None
    ok: bool


class Goal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An aim: `at` says whether `goal` is the least or the most that will do; `says` is what it means, in a sentence."""

    unit: str
    goal: int | float
    at: str
    says: str

    def is_met(self, value: float) -> bool:
        return value >= self.goal if self.at == "least" else value <= self.goal


@cache
def goals() -> Mapping[str, Goal]:
    """Every aim, by the name of its figure."""
    return msgspec.convert(tomllib.loads(GOALS.read_text("utf-8")), dict[str, Goal])


def figure(name: str, value: float, unit: str) -> Result:
    """A measured figure, judged if it has a goal; ValueError where the goal is in another unit."""
    value = value.item() if isinstance(value, np.generic) else value
    goal = goals().get(name)
    if goal is None:
        return {"name": name, "value": value, "unit": unit, "goal": None, "ok": True}
    if goal.unit != unit:
        raise ValueError(f"{name} is measured in {unit} and aimed at in {goal.unit}")
    return {"name": name, "value": value, "unit": unit, "goal": goal.goal, "ok": goal.is_met(value)}


def absent(name: str, why: str) -> Result:
    """A figure that could not be measured: no value, and the reason where the unit stands."""
    goal = goals()[name].goal if name in goals() else None
    return {"name": name, "value": None, "unit": f"not run: {why}", "goal": goal, "ok": False}


def show(results: Iterable[Result], *, as_json: bool) -> None:
    """Print a table, or one JSON list."""
    if as_json:
        click.echo(json.dumps(list(results)))
        return
    for each in results:
        value = "–" if each["value"] is None else f"{each['value']:,}"
        click.echo(f"{each['name']:44}{value:>14} {each['unit']:12}{_judgement(each)}".rstrip())


def _judgement(result: Result) -> str:
    if result["goal"] is None:
        return ""
    sign = {"least": "≥", "most": "≤"}[goals()[result["name"]].at]
    return f"  {sign} {result['goal']:,}{'' if result['ok'] else '  missed'}"
