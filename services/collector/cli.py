"""`territoriale agent …`: count in establishments and report."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from services.collector.config import AgentSettings
    from services.collector.errors import CollectorError

_settings = click.option(
    "--settings",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    help="The agent's settings file (TOML).",
)
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


def _usable(path: Path) -> AgentSettings:
    """Settings without the establishments whose own are wrong: those are told, the others go on."""
    from services.collector.config import read_settings

    settings = read_settings(path)
    for refused in settings.refused:
        click.echo(f"left out: {refused}", err=True)
    return settings


def _fail(error: CollectorError) -> NoReturn:
    click.echo(f"{error.code}: {error}", err=True)
    raise SystemExit(error.exit_code)
