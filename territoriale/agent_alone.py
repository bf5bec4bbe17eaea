"""`territoriale` as it is installed beside a school's server: the agent, and nothing of the platform."""

from __future__ import annotations

import click

from services.collector.cli import agent
from services.collector.version import agent_version


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(agent_version(), message="%(version)s")
def main() -> None:
    """Agent of the Console territoriale: counts beside a PRONOTE server, reports counters, never who."""


main.add_command(agent)
