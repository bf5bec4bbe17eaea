"""`territoriale admin …`: the registry's commands. They write to its database, and readers obey before they return."""

from __future__ import annotations

from datetime import date
from typing import IO

import click

from services.identity import cli_agents, cli_rights
from services.identity.terminal import DAY, as_json, checked, give_up, run, show


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def admin() -> None:
    """The registry: territories, establishments, conventions, agents, invitations, grants, tokens.

    Reads TERRITORIALE_IDENTITY_DATABASE and TERRITORIALE_REDIS. What is refused is said in one sentence, with exit code 2.
    """


@admin.command("import")
@click.argument("file", type=click.File("rb"))
@as_json
def import_(file: IO[bytes], as_json: bool) -> None:
    """Register a whole territory from FILE (JSON, - for standard input) in one transaction; harmless when repeated.

    \b
    {"territory": {"id": "d999", "name": "…", "zone": "Europe/Paris", "threshold": 5},
     "establishments": [{"uai": "0750654D", "name": "…", "type": "college", "zone": "Europe/Paris",
                         "postal_codes": ["75001"], "opened": "2020-09-01", "closed": null, "convention": "consent"}],
     "agent": {"id": "local", "public_key": "<base64 of 32 bytes, or PEM>"},
     "grants": [{"uai": "0750654D", "family": "web", "from": "2025-09-01", "to": null}],
     "token": "<32 to 200 visible ASCII characters>"}

    Required: name and zone of the territory; uai, name, type and zone of an establishment; uai and family of a grant. The
    territory's id is made from its name when absent; convention is consent (default), joint or none; the grants are the
    agent's, unbounded where a day is absent; a token is made when none is given, and printed.
    """  # noqa: D301 - click wants the backspace itself
    from services.identity.territory_file import read

    content = checked(read, file.read())
    imported = run(lambda registrar: registrar.import_(content))
    lines = (
        f"{imported.territory}: {imported.establishments} establishments, {imported.grants} grants, version {imported.version}",
        f"token (shown once): {imported.token}",
    )
    show(imported, lines, as_json=as_json)


@admin.group()
def territory() -> None:
    """Authorities: one is one tenant."""


@territory.command("add")
@click.argument("territory_id")
@click.option("--name", required=True)
@click.option("--zone", required=True, help="Its time zone decides the date of its windows.")
@click.option("--threshold", default=5, show_default=True, help="What the Social menu hides; may be raised.")
def territory_add(territory_id: str, name: str, zone: str, threshold: int) -> None:
    """Add a territory, or change the one of this id (d086, r011, c37261, e200043…)."""
    from services.identity.territory_file import TerritoryEntry

    entry = checked(TerritoryEntry(name, zone, territory_id, threshold).checked)
    run(lambda registrar: registrar.put_territory(entry))
    click.echo(f"{entry.id} is registered")


@territory.command("list")
@as_json
def territory_list(as_json: bool) -> None:
    """List the territories."""
    found = run(lambda registrar: registrar.territories())
    show(found, (f"{entry.id:12} {entry.zone:20} {entry.name}" for entry in found), as_json=as_json)


@territory.command("show")
@click.argument("territory_id")
@as_json
def territory_show(territory_id: str, as_json: bool) -> None:
    """Show one territory."""
    found = run(lambda registrar: registrar.territory(territory_id))
    lines = (f"{found.id}: {found.name}", f"zone {found.zone}", f"threshold {found.threshold}")
    show(found, lines, as_json=as_json)


@admin.group()
def establishment() -> None:
    """Schools, by UAI."""


@establishment.command("add")
@click.argument("uai")
@click.option("--name", required=True)
@click.option("--type", "kind", required=True, help="college, lycee, ecole…")
@click.option("--zone", required=True, help="Its time zone decides where its days start.")
@click.option("--postal-code", "codes", multiple=True, help="Repeatable.")
@click.option("--opened", type=DAY, help="Its first day.")
@click.option("--closed", type=DAY, help="Its last day.")
@click.option("--territory", "territories", multiple=True, help="One of this territory's; repeatable.")
def establishment_add(
    uai: str,
    name: str,
    kind: str,
    zone: str,
    codes: tuple[str, ...],
    opened: date | None,
    closed: date | None,
    territories: tuple[str, ...],
) -> None:
    """Add an establishment; its UAI is checked."""
    from services.identity.territory_file import EstablishmentEntry

    entry = checked(EstablishmentEntry(uai, name, kind, zone, codes, opened, closed).checked)
    run(lambda registrar: registrar.add_establishment(entry, territories))
    click.echo(f"{entry.uai} is registered")


@establishment.command("set")
@click.argument("uai")
@click.option("--name")
@click.option("--type", "kind")
@click.option("--zone")
@click.option("--postal-code", "codes", multiple=True, help="Repeatable; all of them, in place of those known.")
@click.option("--opened", type=DAY)
@click.option("--closed", type=DAY)
def establishment_set(
    uai: str,
    name: str | None,
    kind: str | None,
    zone: str | None,
    codes: tuple[str, ...],
    opened: date | None,
    closed: date | None,
) -> None:
    """Change what is given of an establishment, and leave the rest."""
    from services.identity import particulars

    uai = checked(particulars.a_uai, uai)
    changes = {
        "name": name and checked(particulars.a_text, name, "the name"),
        "type": kind and checked(particulars.a_text, kind, "the type"),
        "zone": zone and checked(particulars.a_zone, zone),
        "postal_codes": checked(particulars.postal_codes, codes),
        "opened": opened,
        "closed": closed,
    }
    given = {field: value for field, value in changes.items() if value}
    if not given:
        give_up("nothing to change: give at least one option")
    run(lambda registrar: registrar.set_establishment(uai, given))
    click.echo(f"{uai} is changed")


@establishment.command("join")
@click.argument("uai")
@click.option("--territory", required=True)
def establishment_join(uai: str, territory: str) -> None:
    """Count UAI among the establishments of a territory, even before it has a convention: coverage is told of all of them."""
    from services.identity import particulars

    known = checked(particulars.a_uai, uai)
    run(lambda registrar: registrar.join(territory, known))
    click.echo(f"{known} is an establishment of {territory}")


@establishment.command("leave")
@click.argument("uai")
@click.option("--territory", required=True)
def establishment_leave(uai: str, territory: str) -> None:
    """Count UAI no longer among the establishments of a territory; its convention is ended before."""
    from services.identity import particulars

    known = checked(particulars.a_uai, uai)
    run(lambda registrar: registrar.leave(territory, known))
    click.echo(f"{known} is not an establishment of {territory} any more")


@establishment.command("list")
@click.option("--territory", help="Of this territory only.")
@as_json
def establishment_list(territory: str | None, as_json: bool) -> None:
    """List the establishments."""
    found = run(lambda registrar: registrar.establishments(territory))
    show(found, (f"{entry.uai} {entry.type:10} {entry.zone:20} {entry.name}" for entry in found), as_json=as_json)


for group in (cli_rights.convention, cli_agents.agent, cli_agents.invite, cli_rights.grant, cli_rights.token):
    admin.add_command(group)
