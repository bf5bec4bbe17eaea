"""`territoriale dlq …`, `territoriale admin rebuild` and `territoriale admin reread`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from services.aggregator.config import OperatorSettings
    from services.aggregator.dead_letter_box import Letter

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def dlq() -> None:
    """Dead letters of usage.reported.v1: messages that could not be merged, each with its cause. Reads TERRITORIALE_KAFKA."""


@dlq.command("list")
@click.option("--cause", help="Only those of one cause, for example bad_signature.")
@as_json
def list_(cause: str | None, as_json: bool) -> None:
    """List dead letters: id, cause, agent, establishment, size, where it stood."""
    found = [letter.summary() for letter in _run(_chosen(_settings("kafka"), cause=cause))]
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for one in found:
        click.echo(
            f"{one['id']:>10}  {one['cause']:<22} {one['agent']:<20} {one['key']:<10} {one['bytes']:>8} B  {one['detail']}"
        )
    click.echo(f"{len(found)} dead letter(s)")


@dlq.command()
@click.argument("letter_id", metavar="ID")
def show(letter_id: str) -> None:
    """Show one dead letter: headers, then the message as it was received. ID is PARTITION:OFFSET as listed."""
    letter = _one(_run(_chosen(_settings("kafka"), wanted=letter_id)), letter_id)
    for name, value in letter.headers:
        click.echo(f"{name}: {(value or b'').decode('utf-8', 'backslashreplace')}")
    click.echo()
    click.echo((letter.value or b"").decode("utf-8", "backslashreplace"))


@dlq.command()
@click.argument("letter_id", metavar="ID", required=False)
@click.option("--cause", help="All of one cause.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@as_json
def replay(letter_id: str | None, cause: str | None, everything: bool, as_json: bool) -> None:
    """Send dead letters again, once what was wrong is put right; merged states make repeating harmless."""
    from services.aggregator.dead_letter_box import replay as send

    if not (letter_id or cause or everything):
        raise click.UsageError("say which: an ID, --cause or --all")
    settings = _settings("kafka")
    chosen = _run(_chosen(settings, cause=cause, wanted=letter_id))
    if letter_id:
        _one(chosen, letter_id)
    sent = _run(send(settings.kafka, chosen, settings.topic_prefix))
    click.echo(json.dumps({"sent": sent}) if as_json else f"{sent} message(s) sent again")


@click.command()
@click.option("--uai", help="One establishment; all without it.")
@as_json
def rebuild(uai: str | None, as_json: bool) -> None:
    """Fold sheets again from the reports kept. Reads TERRITORIALE_USAGE_DATABASE; may run while the aggregator does."""
    from contracts.uai import InvalidUaiError, parse_uai

    try:
        uai = uai and parse_uai(uai)
    except InvalidUaiError as error:
        raise click.BadParameter(str(error), param_hint="--uai") from error
    differed = _run(_rebuild(_settings("usage_database"), uai, quiet=as_json))
    click.echo(
        json.dumps({"sheets_changed": differed}) if as_json else f"{differed} sheet(s) differed and were written again"
    )


@click.command()
@as_json
def reread(as_json: bool) -> None:
    """Have the topic read again from its start, once a backup was restored; stop every aggregator before. Reads TERRITORIALE_KAFKA.

    Reports are states: those that the database has already change nothing. What Kafka no longer keeps, agents send again.
    """
    from services.aggregator.errors import StillConsumingError
    from services.aggregator.reread import reread as run

    settings = _settings("kafka")
    try:
        messages = _run(run(settings.kafka, settings.topic_prefix))
    except StillConsumingError as error:
        raise click.ClickException(str(error)) from error
    click.echo(
        json.dumps({"messages": messages}) if as_json else f"{messages} message(s) are read once an aggregator starts"
    )


async def _rebuild(settings: OperatorSettings, uai: str | None, *, quiet: bool) -> int:
    from services.aggregator import store
    from services.aggregator.rebuild import rebuild as run

    def progress(one: str, differed: int) -> None:
        if not quiet:
            click.echo(f"{one}: {differed} sheet(s) differed", err=True)

    async with store.pool(settings.usage_database.get_secret_value()) as pool:
        async with pool.acquire() as connection:
            uais = [uai] if uai else await store.all_uais(connection)
        return await run(pool, uais, progress)


async def _chosen(settings: OperatorSettings, *, cause: str | None = None, wanted: str | None = None) -> list[Letter]:
    from services.aggregator.dead_letter_box import letters

    return [
        letter
        async for letter in letters(settings.kafka, settings.topic_prefix)
        if cause in {None, letter.cause} and wanted in {None, f"{letter.partition}:{letter.offset}"}
    ]


def _one(found: list[Letter], letter_id: str) -> Letter:
    if not found:
        raise click.ClickException(f"no dead letter {letter_id}; `territoriale dlq list` shows those that there are")
    return found[0]


def _settings(needed: str) -> OperatorSettings:
    from services.aggregator.config import OperatorSettings

    settings = OperatorSettings()
    value = getattr(settings, needed)
    if not (value if isinstance(value, str) else value.get_secret_value()):
        raise click.ClickException(f"TERRITORIALE_{needed.upper()} is not set")
    return settings


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run one coroutine; a server that is away is one sentence, not a trace."""
    import asyncpg
    from aiokafka.errors import KafkaError

    try:
        return asyncio.run(work)
    except (OSError, KafkaError, asyncpg.PostgresError) as error:
        click.echo(f"cannot be reached or refused: {error!r}", err=True)
        sys.exit(1)
