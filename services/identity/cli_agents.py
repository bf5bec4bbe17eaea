"""`territoriale admin agent|invite`: codes by which agents enrol, their keys, how they are, what they are asked."""

# ruff: noqa: PLC0415 - heavy imports wait until a command runs

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import IO, TYPE_CHECKING

import click

from services.identity.terminal import DAY, INSTANT, as_json, checked, run, show, span

if TYPE_CHECKING:
    from contracts.fleet import AgentStatus, AgentStatuses
    from contracts.registry import AgentKey, Grant
    from services.identity.service import Registrar


@click.group()
def invite() -> None:
    """Codes by which an agent enrols, once: typed beside the school's server, they bind its key to its name."""


@invite.command("agent")
@click.argument("agent_id")
@click.option(
    "--grant", "written", multiple=True, metavar="UAI:FAMILY[:FROM[:TO]]", help="Repeatable; or a source's name."
)
@click.option("--uai", "uais", multiple=True, help="Repeatable: grant it all families of the sources named.")
@click.option(
    "--source", "sources", multiple=True, type=click.Choice(["journal", "access-log", "census"]), help="Repeatable."
)
@click.option("--from", "first", type=DAY, help="First local day of what --uai grants; unbounded, when absent.")
@click.option("--to", "last", type=DAY, help="Last local day of it.")
@click.option(
    "--hours", default=72.0, show_default=True, type=click.FloatRange(0.01, 24 * 90), help="Until it expires."
)
@click.option("--overlap-days", default=0.0, show_default=True, type=click.FloatRange(0, 90),
              help="How long older keys of the agent go on once it has enrolled.")  # fmt: skip
@as_json
def invite_agent(
    agent_id: str, written: tuple[str, ...], uais: tuple[str, ...], sources: tuple[str, ...], first: date | None,
    last: date | None, hours: float, overlap_days: float, as_json: bool,
) -> None:  # fmt: skip
    """Make a code for AGENT_ID and print it, once.

    A new agent needs grants: --grant 0860001J:journal:2026-09-01, or --uai 0860001J --source journal --source census. One that is
    known may be invited without: it enrols again with a new key and keeps its name and grants.
    """
    from datetime import timedelta

    from services.identity import particulars

    name = checked(particulars.an_id, agent_id)
    grants = _grants(name, written, uais, sources, (first, last))
    lasting, overlap = timedelta(hours=hours), timedelta(days=overlap_days)
    made = run(lambda registrar: registrar.enrolments.invite(name, grants, lasting=lasting, overlap=overlap))
    for uai in made.uncollected:
        click.echo(f"{uai} has no convention in force: unless it has one by then, it will not be enrolled", err=True)
    lines = (
        f"code (shown once): {made.code}",
        f"for {name}, until {made.expires_at.isoformat('T', 'minutes')}",
        f"id {made.id}",
    )
    show(made, lines, as_json=as_json)


def _grants(
    agent: str, written: tuple[str, ...], uais: tuple[str, ...], sources: tuple[str, ...],
    days: tuple[date | None, date | None],
) -> list[Grant]:  # fmt: skip
    from services.identity.granting import grants_of, read_grants
    from services.identity.terminal import give_up

    if bool(uais) != bool(sources):
        give_up("--uai and --source go together: name the establishments and the sources that the agent reads there")
    read = checked(read_grants, agent, written)
    return [*read, *(grant for uai in dict.fromkeys(uais) for grant in checked(grants_of, agent, uai, sources, *days))]


@invite.command("list")
@as_json
def invite_list(as_json: bool) -> None:
    """List invitations, never their codes: open, used, expired, revoked."""
    from chassis.clock import Clock

    found = run(lambda registrar: registrar.enrolments.invitations())
    now = Clock().real_now()
    lines = (
        f"{each.id} {each.state(now):8} {each.agent:20} until {each.expires_at.isoformat('T', 'minutes')} "
        f"{', '.join(sorted({grant.uai for grant in each.grants}))}"
        for each in found
    )
    show([{**_builtins(each), "state": each.state(now)} for each in found], lines, as_json=as_json)


def _builtins(value: object) -> dict[str, object]:
    import msgspec

    found: dict[str, object] = msgspec.to_builtins(value)
    return found


@invite.command("revoke")
@click.argument("invitation_id")
def invite_revoke(invitation_id: str) -> None:
    """Revoke a code by its invitation's id. An agent that has used it stays: see `agent revoke`."""
    run(lambda registrar: registrar.enrolments.revoke_invitation(invitation_id))
    click.echo(f"{invitation_id} is revoked")


@click.group()
def agent() -> None:
    """Agents: how they are, the public keys they sign with, what they are asked to send again."""


@agent.command("add")
@click.argument("agent_id")
def agent_add(agent_id: str) -> None:
    """Add an agent without a code; give it a key with `agent key`."""
    from services.identity import particulars

    name = checked(particulars.an_id, agent_id)
    run(lambda registrar: registrar.add_agent(name))
    click.echo(f"{name} is registered")


@agent.command("key")
@click.argument("agent_id")
@click.argument("public_key", type=click.File("r"))
@click.option("--from", "start", type=INSTANT, help="Messages appended from this instant; always, when absent.")
@click.option("--to", "end", type=INSTANT, help="Messages appended until just before this instant.")
@click.option("--end", "ending", is_flag=True, help="Stop accepting this key now (or at --to), instead of adding it.")
def agent_key(agent_id: str, public_key: IO[str], start: datetime | None, end: datetime | None, ending: bool) -> None:
    """Add the agent's public key from file PUBLIC_KEY (base64 or PEM, - for standard input); two may overlap."""
    from contracts.registry import AgentKey
    from services.identity import particulars

    key = AgentKey(agent_id, checked(particulars.a_public_key, public_key.read()), start, end)
    if ending:
        run(lambda registrar: registrar.end_key(agent_id, key.public_key, end))
    else:
        run(lambda registrar: registrar.add_key(key))
    click.echo(f"the key of {agent_id} is {'ended' if ending else 'registered'}")


@agent.command("revoke")
@click.argument("agent_id")
def agent_revoke(agent_id: str) -> None:
    """End all keys and codes of an agent now. What it has reported stays; `invite agent` lets it enrol again."""
    ended = run(lambda registrar: registrar.fleet.revoke(agent_id))
    click.echo(f"{agent_id} is revoked: {ended} keys ended")


@agent.command("resend")
@click.argument("agent_ids", nargs=-1)
@click.option("--all", "everybody", is_flag=True, help="Every agent, such as after a backup was restored.")
@click.option("--since", type=DAY, required=True, help="Every kept period that ends on this local day or later.")
def agent_resend(agent_ids: tuple[str, ...], everybody: bool, since: date) -> None:
    """Ask agents to send kept periods again; they are told at their next hello. Harmless when repeated."""
    from services.identity.terminal import give_up

    if bool(agent_ids) == everybody:
        give_up("name agents, or --all")
    ordered = run(lambda registrar: registrar.fleet.order_resend(agent_ids, since))
    click.echo(f"asked to send again what ends on {since.isoformat()} or later: {', '.join(ordered) or 'nobody'}")


@agent.command("list")
@as_json
def agent_list(as_json: bool) -> None:
    """List agents: version, last hello and report, clock, what waits, what an operator should look at, keys."""
    from services.identity.config import LastReportsSettings
    from services.identity.last_reports import last_reports

    statuses, keys = run(_statuses)
    settings = LastReportsSettings()
    last = last_reports(settings, [each.agent for each in statuses.agents])
    if last is None and settings.query_url:
        click.echo("last reports are not known: the query API does not answer", err=True)
    told = [each.with_report((last or {}).get(each.agent), statuses.silent_before) for each in statuses.agents]
    by_agent = {each.agent: [key for key in keys if key.agent == each.agent] for each in told}
    found = [{**_builtins(each), "keys": _keys(by_agent[each.agent])} for each in told]
    show(found, (line for each in told for line in _lines(each, by_agent[each.agent])), as_json=as_json)


async def _statuses(registrar: Registrar) -> tuple[AgentStatuses, list[AgentKey]]:
    return await registrar.fleet.statuses(), (await registrar.agents())[1]


def _keys(keys: list[AgentKey]) -> list[dict[str, object]]:
    return [_builtins(key) for key in keys]


def _lines(status: AgentStatus, keys: list[AgentKey]) -> Iterator[str]:
    flags = [name for name in ("silent", "too_old", "skewed", "copied", "revoked") if getattr(status, name)]
    told = [
        f"version {status.version or '?'}",
        f"hello {_instant(status.last_hello)}",
        f"report {_instant(status.last_report)}",
        f"clock {status.skew_seconds:+.0f} s" if status.skew_seconds is not None else "clock ?",
        f"waiting {'?' if status.waiting is None else status.waiting}",
        f"problems {'?' if status.problems is None else status.problems}",
    ]
    yield f"{status.agent:20} {', '.join(told)}{'  !! ' + ', '.join(flags) if flags else ''}"
    yield from (f"    {key.public_key} {span(key.valid_from, key.valid_to)}" for key in keys)
    if not keys:
        yield "    no key"


def _instant(instant: datetime | None) -> str:
    return instant.isoformat("T", "seconds") if instant else "never"
