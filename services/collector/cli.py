"""`territoriale agent …`: count in establishments and report."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from services.collector import told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from services.collector.config import AgentSettings
    from services.collector.errors import CollectorError

_settings = click.option(
    "--settings",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    help="The agent's settings file (TOML).",
)
ATTENTION = 10
"""What `status --alert` returns when an operator should look."""
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group()
def agent() -> None:
    """Count in establishments and report states, never who."""


@agent.command()
@_settings
@click.option("--until-idle", is_flag=True, help="Read every source to its end, publish everything, then leave.")
def run(path: Path, until_idle: bool) -> None:
    """Read the sources and report, until SIGTERM."""
    from chassis.logs import setup_logs
    from services.collector.app import run_agent
    from services.collector.errors import CollectorError

    setup_logs("agent", fmt=os.environ.get("TERRITORIALE_LOG_FORMAT", "text"))
    try:
        asyncio.run(run_agent(_usable(path), until_idle=until_idle))
    except CollectorError as error:
        _fail(error)


@agent.command()
@_settings
@_json
def check(path: Path, as_json: bool) -> None:
    """Read the sources without publishing or storing: what would be counted, what is set aside and why."""
    from chassis.logs import setup_logs
    from services.collector.check import check as check_sources
    from services.collector.config import read_settings
    from services.collector.errors import CollectorError

    setup_logs("agent", level="ERROR")  # what a log would warn of is in the answer
    try:
        found = asyncio.run(check_sources(read_settings(path)))
    except CollectorError as error:
        _fail(error, as_json=as_json)
    _print(found, as_json, told.check)
    if found["errors"]:
        raise SystemExit(2)


@agent.command()
@_settings
@click.option("--alert", is_flag=True, help="Leave with 10 when something wants attention: for a monitor.")
@_json
def status(path: Path, alert: bool, as_json: bool) -> None:
    """Identity, last hello, grants, positions, backlog, last acknowledgement, problems."""
    from services.collector.errors import CollectorError
    from services.collector.status import status as status_of
    from services.collector.status import wants_attention

    try:
        found = status_of(_usable(path))
    except CollectorError as error:
        _fail(error, as_json=as_json)
    _print(found, as_json, told.status)
    if alert and wants_attention(found):
        raise SystemExit(ATTENTION)


@agent.command()
@_settings
@click.option("--since", required=True, type=click.DateTime(["%Y-%m-%d"]), help="First local day to count again.")
@_json
def restate(path: Path, since: datetime, as_json: bool) -> None:
    """Count again from the sources what lies since a date (whole days, months and school years) and publish it."""
    from chassis.logs import setup_logs
    from services.collector.app import restate as restate_sources
    from services.collector.errors import CollectorError

    setup_logs("agent", fmt=os.environ.get("TERRITORIALE_LOG_FORMAT", "text"))
    try:
        done = asyncio.run(restate_sources(_usable(path), since.date()))
    except CollectorError as error:
        _fail(error, as_json=as_json)
    found = {
        "since": since.date().isoformat(),
        "files_gone": {uai: each.files_gone for uai, each in done.items()},
        "days_gone": {uai: [day.isoformat() for day in each.days_gone] for uai, each in done.items()},
        "periods_left": {uai: [f"{g} {start}" for g, start in each.periods_left] for uai, each in done.items()},
    }
    _print(found, as_json, told.restate)


@agent.command("import")
@_settings
@click.option("--school-year", "named", required=True, help="Such as 2015-2016: a school year before the agents.")
@click.option("--establishment", "only", default="", help="UAI of the only establishment to import.")
@click.option("--check", "dry_run", is_flag=True, help="Say what would be imported; store and publish nothing.")
@_json
def import_(path: Path, named: str, only: str, dry_run: bool, as_json: bool) -> None:
    """Report censuses and yearly totals of a school year before the agents, from import/<school year>/ beside the sources."""
    from chassis.logs import setup_logs
    from services.collector.errors import CollectorError
    from services.collector.importing import import_year, school_year

    setup_logs("agent", fmt=os.environ.get("TERRITORIALE_LOG_FORMAT", "text"))
    try:
        years = asyncio.run(import_year(_usable(path), school_year(named), only=only.upper(), dry_run=dry_run))
    except CollectorError as error:
        _fail(error, as_json=as_json)
    found = {
        "school_year": named,
        "ok": not any(year.faults for year in years),
        "establishments": [
            {
                "uai": year.uai,
                "families": {family: sum(counts.values()) for family, counts in year.counts.items()},
                "changed": year.changed,
                "faults": year.faults,
            }
            for year in years
        ],
    }
    _print(found, as_json, told.imported)
    raise SystemExit(0 if found["ok"] else 2)


@agent.command()
@_settings
@click.option("--url", required=True, help="Where the platform is, such as https://console.example.fr.")
@click.option(
    "--code",
    required=True,
    help="The code that the platform's administrator gave, once; - reads it from standard input.",
)
@click.option(
    "--sources",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of an establishment's sources, or one that holds a folder per UAI.",
)
@click.option(
    "--state", "folder", type=click.Path(path_type=Path, file_okay=False), help="Where key and state are kept."
)
@click.option(
    "--ca", type=click.Path(path_type=Path, dir_okay=False), help="A private authority that vouches for the platform."
)
@click.option("--new-key", is_flag=True, help="Make another key: the old one was revoked.")
@_json
def enrol(
    path: Path,
    url: str,
    code: str,
    sources: tuple[Path, ...],
    folder: Path | None,
    ca: Path | None,
    new_key: bool,
    as_json: bool,
) -> None:
    """Make a key, present it with a code, and write settings ready to edit; may be run again when an answer was lost."""
    from chassis.clock import Clock
    from chassis.logs import setup_logs
    from services.collector.enrolment import Request, as_document
    from services.collector.enrolment import enrol as enrol_agent
    from services.collector.errors import CollectorError

    setup_logs("agent", fmt=os.environ.get("TERRITORIALE_LOG_FORMAT", "text"))
    given = sys.stdin.readline().strip() if code == "-" else code
    request = Request(url, given, path, folder or path.parent, sources, ca, new_key)
    try:
        found = asyncio.run(enrol_agent(request, Clock().real_now()))
    except CollectorError as error:
        _fail(error, as_json=as_json)
    _print(as_document(found), as_json, told.enrolment)


@agent.command("rotate-key")
@_settings
@_json
def rotate_key(path: Path, as_json: bool) -> None:
    """Make a new key; the platform hears of it with the next hello, signed with the old one, and then the new one signs."""
    from chassis.logs import setup_logs
    from services.collector.app import rotate_key as rotate
    from services.collector.errors import CollectorError

    setup_logs("agent", fmt=os.environ.get("TERRITORIALE_LOG_FORMAT", "text"))
    try:
        found = asyncio.run(rotate(_usable(path)))
    except CollectorError as error:
        _fail(error, as_json=as_json)
    _print(found, as_json, told.rotation)


def _usable(path: Path) -> AgentSettings:
    """Settings without the establishments whose own are wrong: those are told, the others go on."""
    from services.collector.config import read_settings

    settings = read_settings(path)
    for refused in settings.refused:
        click.echo(f"left out: {refused}", err=True)
    return settings


def _fail(error: CollectorError, *, as_json: bool = False) -> NoReturn:
    from services.collector.errors import SettingsError

    if as_json:
        told = {"code": error.code, "detail": str(error)}
        if isinstance(error, SettingsError):
            told |= {"file": error.file, "field": error.field, "detail": error.detail}
        click.echo(json.dumps({"ok": False, "errors": [told]}, ensure_ascii=False))
    else:
        click.echo(f"{error.code}: {error}", err=True)
    raise SystemExit(error.exit_code)


def _print(found: dict[str, Any], as_json: bool, tell: Callable[[dict[str, Any]], Iterator[str]]) -> None:
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(tell(found)))
