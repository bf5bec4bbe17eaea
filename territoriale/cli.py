"""`territoriale …`: one front door; a command's code is imported only when that command runs, so that an agent stays small."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version

import click

COMMANDS = {
    "agent": (
        "services.collector.cli:agent",
        "Count in an establishment and report: enrol, check, run, status, restate, import.",
    ),
    "admin": ("territoriale.admin:admin", "Territory, establishments, conventions, agents, grants, tokens; rebuild."),
    "dlq": ("services.aggregator.cli:dlq", "Dead letters: list, show, replay."),
    "catalogue": ("territoriale.catalogue:catalogue", "What is counted, how cells are numbered, what tables show."),
    "decode": ("territoriale.decode:decode", "Show a message of usage.reported.v1 as named JSON."),
    "local": ("deploy.local.cli:local", "The whole stack on a bare machine: up, down, status, demo."),
}
"""Command, where it lives, and its line of help (kept here so that `--help` imports nothing)."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, name = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("console-territoriale"), message="%(version)s")
def main() -> None:
    """Console territoriale: how school-life software is used across a territory."""
