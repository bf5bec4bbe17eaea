"""From an operator's words to what is brought up: everything that can be refused is refused here, before anything starts."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chassis.clock import parse_instant
from deploy.local.errors import BadTerritoryError, LocalStackError
from deploy.local.places import local_folder, stacks_folder
from deploy.local.running import RunningStack, clear_old_logs, sweep


@dataclass(frozen=True, slots=True)
class Request:
    """What to bring up. `ephemeral`: nothing outlives it. `fixed_ports`: those of ports.toml rather than free ones."""

    state: Path
    territory: Path | None = None
    follow: bool = False
    ephemeral: bool = False
    fixed_ports: bool = False
    demonstration: bool = False

    def to_text(self) -> str:
        return json.dumps(
            {**asdict(self), "state": str(self.state), "territory": self.territory and str(self.territory)}
        )

    @classmethod
    def from_text(cls, text: str) -> Request:
        found: dict[str, Any] = json.loads(text)
        territory = found.pop("territory")
        return cls(Path(found.pop("state")), Path(territory) if territory else None, **found)


def request_for(territory: Path | None, state: Path | None, *, follow: bool) -> Request:
    """A checked request of `local up`."""
    check_clock()
    sweep()
    clear_old_logs()
    if territory is None:
        return Request((state or local_folder() / "stack").resolve(), fixed_ports=state is None)
    check_territory(territory)
    kept = state.resolve() if state else stacks_folder() / secrets.token_hex(4)
    return Request(kept, territory.resolve(), follow, ephemeral=state is None)


def check_territory(folder: Path) -> None:
    """Read it once now, so that bad input is answered at once; what was not used is remarked upon."""
    import click

    from deploy.local.territory import read_territory

    for remark in read_territory(folder.resolve()).remarks:
        click.echo(remark, err=True)


def check_clock() -> None:
    """`TERRITORIALE_NOW` would be refused by every service one after the other."""
    text = os.environ.get("TERRITORIALE_NOW")
    if not text:
        return
    try:
        parse_instant(text)
    except ValueError:
        raise BadTerritoryError(
            f"TERRITORIALE_NOW={text} is not an instant with its offset; write for example 2026-11-20T12:00:00+01:00."
        ) from None


def environment_of(stacks: Sequence[RunningStack], state: Path | None) -> dict[str, str]:
    """The addresses of the one running stack that is meant."""
    if len(stacks) != 1:
        where = f" of {state}" if state else ""
        raise LocalStackError(
            f"{len(stacks)} running stacks{where}: name one with --state, see `territoriale local status`."
        )
    from deploy.local.site_file import read_site
    from deploy.local.stack import service_environment

    return service_environment(read_site(stacks[0].folder))
