"""`territoriale admin convention|grant|token`: who agreed, who may report, which machine may read."""

# ruff: noqa: PLC0415 - heavy imports wait until a command runs

from __future__ import annotations

from datetime import date, datetime

import click

from services.identity.terminal import DAY, INSTANT, as_json, checked, run, show, span


@click.group()
def convention() -> None:
    """Agreements: nothing is collected or shown without one in force."""


@convention.command("add")
@click.argument("uai")
@click.option("--territory", required=True)
@click.option("--kind", type=click.Choice(["consent", "joint"]), default="consent", show_default=True)
@click.option("--from", "start", type=INSTANT, help="In force from this instant; always, when absent.")
@click.option("--to", "end", type=INSTANT, help="In force until just before this instant.")
def convention_add(uai: str, territory: str, kind: str, start: datetime | None, end: datetime | None) -> None:
    """Record that establishment UAI has a convention with a territory."""
    from contracts.registry import Convention
    from services.identity import particulars

    agreed = Convention(territory, checked(particulars.a_uai, uai), kind, start, end)  # type: ignore[arg-type]
    run(lambda registrar: registrar.add_convention(agreed))
    click.echo(f"{agreed.uai} has a convention with {territory}")


@convention.command("end")
@click.argument("uai")
@click.option("--territory", required=True)
@click.option("--at", type=INSTANT, help="Now, when absent.")
def convention_end(uai: str, territory: str, at: datetime | None) -> None:
    """End a convention: rows are hidden and reports refused from that instant."""
    from services.identity import particulars

    known = checked(particulars.a_uai, uai)
    run(lambda registrar: registrar.end_convention(territory, known, at))
    click.echo(f"the convention of {known} with {territory} is ended")


@convention.command("list")
@click.option("--territory", help="Of this territory only.")
@as_json
def convention_list(territory: str | None, as_json: bool) -> None:
    """List conventions, past and to come included."""
    found = run(lambda registrar: registrar.conventions(territory))
    lines = (f"{c.uai} {c.territory:12} {c.kind:8} {span(c.valid_from, c.valid_to)}" for c in found)
    show(found, lines, as_json=as_json)


@click.group()
def grant() -> None:
    """Who may report what: one agent per establishment, family and day."""


@grant.command("add")
@click.argument("agent_id")
@click.argument("uai")
@click.argument("families", nargs=-1, required=True)
@click.option("--from", "first", type=DAY, help="First local day; unbounded, when absent.")
@click.option("--to", "last", type=DAY, help="Last local day; unbounded, when absent.")
def grant_add(agent_id: str, uai: str, families: tuple[str, ...], first: date | None, last: date | None) -> None:
    """Let AGENT_ID report FAMILIES (web, software, people, observed.journal…) of establishment UAI."""
    from contracts.registry import Grant
    from services.identity import particulars
    from services.identity.service import Registrar

    known = checked(particulars.a_uai, uai)
    grants = [Grant(agent_id, known, checked(particulars.a_family, family), first, last) for family in families]

    async def add(registrar: Registrar) -> None:
        await registrar.add_grants(grants)

    run(add)
    click.echo(f"{agent_id} may report {', '.join(families)} of {known}")


@grant.command("end")
@click.argument("agent_id")
@click.argument("uai")
@click.argument("family")
@click.option("--on", "last", type=DAY, required=True, help="Its last local day.")
def grant_end(agent_id: str, uai: str, family: str, last: date) -> None:
    """End a grant with a day; another may begin the day after."""
    from services.identity import particulars

    known = checked(particulars.a_uai, uai)
    run(lambda registrar: registrar.end_grant(agent_id, known, family, last))
    click.echo(f"the grant of {agent_id} for {family} of {known} ends with {last.isoformat()}")


@grant.command("move")
@click.argument("agent_id")
@click.argument("new_agent_id")
@click.argument("uai")
@click.argument("families", nargs=-1)
@click.option(
    "--on", "first", type=DAY, required=True, help="First local day of the new agent; the old one ends the day before."
)
def grant_move(agent_id: str, new_agent_id: str, uai: str, families: tuple[str, ...], first: date) -> None:
    """Hand what AGENT_ID reports of UAI (FAMILIES, or all) over to NEW_AGENT_ID from a day on."""
    from services.identity import particulars

    known = checked(particulars.a_uai, uai)
    asked = [checked(particulars.a_family, family) for family in families]
    moved = run(lambda registrar: registrar.move_grants(agent_id, new_agent_id, known, asked, first))
    click.echo(f"{new_agent_id} reports {', '.join(moved)} of {known} from {first.isoformat()} on")


@grant.command("remove")
@click.argument("agent_id")
@click.argument("uai")
@click.argument("family")
@click.option(
    "--from", "first", type=DAY, help="Its first local day, where the agent has several grants of the family."
)
def grant_remove(agent_id: str, uai: str, family: str, first: date | None) -> None:
    """Forget a grant that was given by mistake; end instead one under which something was rightly reported."""
    from services.identity import particulars

    known = checked(particulars.a_uai, uai)
    removed = run(lambda registrar: registrar.remove_grant(agent_id, known, family, first))
    click.echo(f"the grant of {agent_id} for {family} of {known}, {span(removed.from_day, removed.to_day)}, is removed")


@grant.command("list")
@click.option("--agent", "agent_id", help="Of this agent only.")
@click.option("--uai", help="Of this establishment only.")
@as_json
def grant_list(agent_id: str | None, uai: str | None, as_json: bool) -> None:
    """List grants."""
    from services.identity import particulars

    uais = None if uai is None else [checked(particulars.a_uai, uai)]
    found = run(lambda registrar: registrar.grants(uais, agent_id))
    lines = (f"{g.uai} {g.family:24} {g.agent:20} {span(g.from_day, g.to_day)}" for g in found)
    show(found, lines, as_json=as_json)


@click.group()
def token() -> None:
    """Operators' tokens: a machine that sees what the territory's administrator sees."""


@token.command("create")
@click.option("--territory", required=True)
@click.option("--label", default="", help="What it is for.")
@click.option("--expires", type=INSTANT, help="Never, when absent.")
@as_json
def token_create(territory: str, label: str, expires: datetime | None, as_json: bool) -> None:
    """Make a token and print it: it is shown once and only its digest is kept."""
    from services.identity import particulars

    text = label and checked(particulars.a_text, label, "the label")
    made = run(lambda registrar: registrar.create_token(territory, text, expires))
    show(made, (f"id {made.id}", f"token (shown once): {made.token}"), as_json=as_json)


@token.command("revoke")
@click.argument("token_id")
def token_revoke(token_id: str) -> None:
    """Revoke a token by its id; it is refused from the next request on."""
    run(lambda registrar: registrar.revoke_token(token_id))
    click.echo(f"{token_id} is revoked")


@token.command("list")
@click.option("--territory", help="Of this territory only.")
@as_json
def token_list(territory: str | None, as_json: bool) -> None:
    """List tokens, never their secret."""
    found = run(lambda registrar: registrar.tokens(territory))
    lines = (
        f"{t.id} {t.territory:12} {'revoked' if t.revoked_at else span(t.created_at, t.expires_at)} {t.label}"
        for t in found
    )
    show(found, lines, as_json=as_json)
