"""A figure, what was aimed at, and how both are shown: the same shape in every bench and in results.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TypedDict

import click


class Result(TypedDict):
    """One line of results.json; `goal` is None where a figure is only told."""

    name: str
    value: float
    unit: str
    goal: float | None
    ok: bool


def at_least(name: str, value: float, unit: str, goal: float) -> Result:
    """A figure that should be no smaller than its goal."""
    return {"name": name, "value": value, "unit": unit, "goal": goal, "ok": value >= goal}


def at_most(name: str, value: float, unit: str, goal: float) -> Result:
    """A figure that should be no greater than its goal."""
    return {"name": name, "value": value, "unit": unit, "goal": goal, "ok": value <= goal}


def told(name: str, value: float, unit: str) -> Result:
    """A figure without a goal."""
    return {"name": name, "value": value, "unit": unit, "goal": None, "ok": True}


def show(results: Iterable[Result], *, as_json: bool) -> None:
    """Print a table, or one JSON list."""
    if as_json:
        click.echo(json.dumps(list(results)))
        return
    for each in results:
        goal = "" if each["goal"] is None else f"  goal {each['goal']:,}{'' if each['ok'] else '  missed'}"
        click.echo(f"{each['name']:32}{each['value']:>14,} {each['unit']:12}{goal}")
