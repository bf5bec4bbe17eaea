"""`territoriale local …`: the whole stack on a bare machine."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from deploy.local.errors import LocalStackError

if TYPE_CHECKING:
    from deploy.local.running import RunningStack

P = ParamSpec("P")
T = TypeVar("T")

FOLDER = click.Path(path_type=Path, file_okay=False)
STATE = click.option("--state", type=FOLDER, help="State folder of the stack that is meant.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON on standard output.")

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def in_one_sentence(command: Callable[P, T]) -> Callable[P, T]:
    """What an operator can change is told in one sentence on standard error, never as a stack trace."""

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except LocalStackError as error:
            click.echo(str(error), err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Interrupted; nothing is left running.", err=True)
            sys.exit(INTERRUPTED)

    return told


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def local() -> None:
    """The whole stack on a bare machine: Kafka, PostgreSQL, Valkey and every service, on 127.0.0.1.

    Servers that you have already are used instead of started: TERRITORIALE_KAFKA (host:port), TERRITORIALE_REDIS (redis URL),
    TERRITORIALE_IDENTITY_DATABASE and TERRITORIALE_USAGE_DATABASE (postgresql+asyncpg URLs; each role owns a schema of its
    name). TERRITORIALE_JAVA names a Java for Kafka. Everything is kept in .local in the clone, or in TERRITORIALE_LOCAL.
    """


@local.command()
@click.option("--territory", type=FOLDER, help="Bring up this territory: territory.toml and <UAI>/agent.toml.")
@click.option("--state", type=FOLDER, help="Keep the state here; an existing one goes on.")
@click.option("--follow", is_flag=True, help="Go on reading the sources after their end.")
@AS_JSON
@in_one_sentence
def up(territory: Path | None, state: Path | None, follow: bool, as_json: bool) -> None:
    """Start a stack in the background and return when it is ready.

    With --territory: an empty stack on free ports (TERRITORIALE_PORT_<PART> fixes one), the territory registered, its sources read
    to their end and visible through the API. Without: an empty stack on the ports of deploy/local/ports.toml, kept in .local/stack.
    """
    from deploy.local.detached import start_detached
    from deploy.local.display import Progress, curl_commands
    from deploy.local.request import request_for

    request = request_for(territory, state, follow=follow)
    progress = Progress(lambda line: click.echo(line, err=True))

    answer = start_detached(request, progress.hear)
    if territory is not None:
        _remark_on_sources(request.state)
    if as_json:
        click.echo(json.dumps({"url": answer["url"], "token": answer["token"]}))
        return
    click.echo(f"\nThe stack runs at {answer['url']}; its state is in {request.state}.\n")
    if answer["token"]:
        click.echo(f"Token: {answer['token']}\n\n{curl_commands(answer['url'], answer['token'])[-1]}\n")
    else:
        click.echo('It has no territory yet: eval "$(territoriale local env)", then territoriale admin --help\n')
    click.echo("Stop it with: territoriale local down")


def _remark_on_sources(state: Path) -> None:
    from deploy.local.remarks import remarks_on_sources

    for line in remarks_on_sources(state):
        click.echo(line, err=True)


@local.command()
@STATE
@click.option("--forget", "forgotten", is_flag=True, help="Remove the state that was kept, too (needs --state).")
@AS_JSON
@in_one_sentence
def down(state: Path | None, forgotten: bool, as_json: bool) -> None:
    """Stop every stack of this clone, or the one of --state; those started without --state are forgotten."""
    from deploy.local.running import forget, stop_stack

    if forgotten and state is None:
        raise click.UsageError("--forget needs --state: say what is to be forgotten.")
    stacks = _chosen(state)
    for stack in stacks:
        stop_stack(stack)
    if forgotten and state is not None:
        forget(state.resolve())
    if as_json:
        click.echo(json.dumps({"stopped": [stack.state for stack in stacks]}))
    else:
        click.echo("\n".join(f"Stopped the stack of {stack.state}" for stack in stacks) or "No stack is running.")


@local.command()
@STATE
@AS_JSON
@in_one_sentence
def status(state: Path | None, as_json: bool) -> None:
    """Show the running stacks: each program, its process, how often it had to be started again."""
    stacks = _chosen(state)
    if as_json:
        click.echo(json.dumps({"stacks": [_report(stack) for stack in stacks]}))
        return
    if not stacks:
        click.echo("No stack is running.")
    for stack in stacks:
        click.echo(f"{stack.url}  supervisor {stack.supervisor}  state {stack.state}")
        for name, node in _report(stack)["nodes"].items():
            click.echo(f"  {name:<20}{node['state']:<12}{node['pid'] or '':<9}{node['restarts'] or ''}")


@local.command()
@STATE
@in_one_sentence
def env(state: Path | None) -> None:
    """Print the environment of a running stack, for other commands: eval "$(territoriale local env)"."""
    import shlex

    from deploy.local.request import environment_of

    for name, value in environment_of(_chosen(state), state).items():
        click.echo(f"export {name}={shlex.quote(value)}")


@local.command()
@click.option("--relock", is_flag=True, help="Resolve Kafka's jars again and rewrite the lock.")
@in_one_sentence
def fetch(relock: bool) -> None:
    """Fetch what the stack needs and does not have yet: Kafka's jars, checked against the lock; then record its classes."""
    import asyncio

    from deploy.local import jars
    from deploy.local.kafka import KafkaPorts, fetch_kafka
    from deploy.local.ports import free_port

    if relock:
        click.echo(f"{jars.LOCK.name}: {jars.relock()} jars")
    broker = free_port()
    asyncio.run(fetch_kafka(click.echo, KafkaPorts(broker, free_port((broker,)))))


@local.command()
@click.option("--state", type=FOLDER, help="Keep the state here instead of .local/demo.")
@click.option("--logs", is_flag=True, help="Show every line of every process, not only what matters.")
@in_one_sentence
def demo(state: Path | None, logs: bool) -> None:
    """Run the stack with a simulated territory until Ctrl-C; a second run goes on where the first stopped."""
    from deploy.local.foreground import run_demonstration

    sys.exit(run_demonstration(state, everything=logs))


def _chosen(state: Path | None) -> list[RunningStack]:
    from deploy.local.running import running_stacks

    return [stack for stack in running_stacks() if state is None or stack.folder == state.resolve()]


def _report(stack: RunningStack) -> dict[str, Any]:
    from dataclasses import asdict

    status = stack.status
    nodes = {name: asdict(node) for name, node in status.nodes.items()} if status else {}
    return {**asdict(stack), "logs": str(stack.folder / "logs"), "nodes": nodes}
