"""`make demo`: the stack in the foreground, its progress in French, its address when it stands, and a clean end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from deploy.local.display import NAMES, Progress, address_lines, curl_commands, shows
from deploy.local.life import Listener, end_at_signals, live
from deploy.local.places import local_folder
from deploy.local.request import Request, check_clock
from deploy.local.running import clear_old_logs, sweep
from deploy.local.stack import Site


def run_demonstration(state: Path | None, *, everything: bool) -> int:
    """Until Ctrl-C; returns the exit code."""
    check_clock()
    sweep()
    clear_old_logs()
    request = Request((state or local_folder() / "demo").resolve(), fixed_ports=True, demonstration=True)
    asyncio.run(_demonstrate(request, everything=everything))
    click.echo("La démonstration est arrêtée ; relancez-la, elle reprend où elle en était.")
    return 0


async def _demonstrate(request: Request, *, everything: bool) -> None:
    end = end_at_signals()
    progress = Progress(click.echo, NAMES, waiting="en cours : ")
    listener = Listener(
        progress.say,
        progress.changed,
        progress.awaiting,
        lambda site, token: _announce(site, token or "", request.state),
    )
    click.echo("Console territoriale : démonstration avec un territoire fictif (Ctrl-C pour arrêter)")
    await live(request, listener, end, shows(everything=everything))


def _announce(site: Site, token: str, state: Path) -> None:
    lines = [
        "",
        "La console répond :",
        *address_lines(site.url, token),
        "",
        "À coller dans un autre terminal :",
        *curl_commands(site.url, token),
        "",
        f"Journaux des processus : {state / 'logs'} ; état : territoriale local status ; Ctrl-C arrête tout.",
        "",
    ]
    click.echo("\n".join(lines))
