"""`territoriale agent …`: count in establishments and report."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

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
MOST_NAMED = 10
"""Days told in one line; `--json` has them all."""
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
    from services.collector.check import check as check_sources
    from services.collector.config import read_settings
    from services.collector.errors import CollectorError

    try:
        found = check_sources(read_settings(path))
    except CollectorError as error:
        _fail(error, as_json=as_json)
    _print(found, as_json, _told_check)
    if found["errors"]:
        raise SystemExit(2)


@agent.command()
@_settings
@_json
def status(path: Path, as_json: bool) -> None:
    """Positions, backlog to publish, observed until, last acknowledgement."""
    from services.collector.check import status as status_of
    from services.collector.errors import CollectorError

    try:
        found = status_of(_usable(path))
    except CollectorError as error:
        _fail(error, as_json=as_json)
    _print(found, as_json, _told_status)


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
    _print(found, as_json, _told_restate)


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
    _print(found, as_json, _told_import)
    raise SystemExit(0 if found["ok"] else 2)


@agent.command()
@_settings
@click.option("--url", required=True, help="Where the platform is, such as https://console.example.fr.")
@click.option("--code", required=True, help="The code that the platform's administrator gave, once.")
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
    from services.collector.enrolment import Request, told
    from services.collector.enrolment import enrol as enrol_agent
    from services.collector.errors import CollectorError

    request = Request(url, code, path, folder or path.parent, sources, ca, new_key)
    try:
        found = asyncio.run(enrol_agent(request, Clock().real_now()))
    except CollectorError as error:
        _fail(error, as_json=as_json)
    _print(told(found), as_json, _told_enrolment)


@agent.command("rotate-key")
@_settings
@_json
def rotate_key(path: Path, as_json: bool) -> None:
    """Make a new key; the platform hears of it with the next hello, signed with the old one, and then the new one signs."""
    from services.collector.app import rotate_key as rotate
    from services.collector.errors import CollectorError

    try:
        found = asyncio.run(rotate(_usable(path)))
    except CollectorError as error:
        _fail(error, as_json=as_json)
    _print(found, as_json, _told_rotation)


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


def _told_check(found: dict[str, Any]) -> Iterator[str]:
    for error in found["errors"]:
        yield f"error  {error['file']}: {error['field']}: {error['detail']}"
    for each in found["establishments"]:
        yield f"{each['uai']}  {each['lines']} lines, from {each['first'] or '-'} to {each['last'] or '-'}"
        yield from (f"  {family:28}{each['counts'].get(family, 0):>12,}" for family in each["families"])
        yield from (f"  set aside, {reason:27}{n:>2,}" for reason, n in each["set_aside"].items() if n)
        yield from _told_census(each["census"])
        yield from (f"  not observed: {problem}" for problem in each["problems"])


def _told_status(found: dict[str, Any]) -> Iterator[str]:
    for each in found["establishments"]:
        yield (
            f"{each['uai']}  to publish: {each['to_publish']}, held: {each['held']}, "
            f"last acknowledgement: {each['acknowledged'] or '-'}"
        )
        for name, source in each["sources"].items():
            yield f"  {name}: {source['bytes']:,} bytes read, observed until {source['observed_until'] or '-'}"
        yield from told_problems(each)
        yield from _told_census(each["census"])


def _told_census(census: dict[str, Any]) -> Iterator[str]:
    yield from (f"  census {file['date']}, {file['file']}: {file['rows']:,} rows" for file in census["files"])
    for fault in census["faults"]:
        where = [f"census {fault['date']}".strip(), fault["file"], f"line {fault['line']}" if fault["line"] else ""]
        said = " ".join(filter(None, (fault["reason"], fault["column"])))
        yield f"  refused, {', '.join(filter(None, where))}: {said}"


def told_problems(each: dict[str, Any]) -> Iterator[str]:
    """What an establishment's status says that its operator should look at."""
    for event, details in each["problems"].items():
        yield from (f"  {event.replace('_', ' ')}: {detail}" for detail in details)
    if each["set_aside"]:
        yield "  set aside: " + ", ".join(f"{n:,} {reason}" for reason, n in each["set_aside"].items())


def _told_restate(found: dict[str, Any]) -> Iterator[str]:
    yield f"counted again since {found['since']}"
    for uai, files in found["files_gone"].items():
        if files:
            yield f"  {uai}: {len(files)} files that had been read are gone or end earlier"
        if days := found["days_gone"][uai]:
            yield f"  {uai}: the sources no longer tell of {len(days)} days, which stay as they were: {_in_short(days)}"
        if periods := found["periods_left"][uai]:
            yield f"  {uai}: so do the periods that hold such days: {_in_short(periods)}"


def _in_short(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= MOST_NAMED else f"{', '.join(names[:MOST_NAMED])} …"


def _told_enrolment(found: dict[str, Any]) -> Iterator[str]:
    yield f"enrolled as {found['agent']}"
    yield from (f"  written: {path}" for path in found["written"])
    for each in found["establishments"]:
        yield f"  {each['uai']}  {each['name']}: {', '.join(each['families']) or 'nothing granted yet'}"
        if not each["collected"]:
            yield "    no convention is in force: nothing is collected"
        if not each["in_settings"]:
            yield f"    not in {found['settings']}: add an [[establishment]] for it"
    yield f"next: say in each folder's agent.toml what is read, then territoriale agent check --settings {found['settings']}"


def _told_rotation(found: dict[str, Any]) -> Iterator[str]:
    if found["replaced"]:
        yield f"the new key signs from now on; the old one is valid until {found['old_valid_until'] or '-'}"
    else:
        yield "the new key is ready: the running agent announces it at its next hello"


def _told_import(found: dict[str, Any]) -> Iterator[str]:
    for each in found["establishments"]:
        yield f"{each['uai']}  {found['school_year']}: {', '.join(each['changed']) or 'nothing new'}"
        yield from (f"  {family:28}{n:>12,}" for family, n in each["families"].items())
        yield from (f"  refused, {fault}" for fault in each["faults"])
        if each["faults"]:
            yield "  nothing of this establishment is imported until every line is right"
