"""`territoriale catalogue`: the catalogue, readable."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from contracts.catalogue import CATALOGUE, Cell

REFERENCE = "docs/reference.md"


@click.group(invoke_without_command=True)
@click.option(
    "--reference",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    is_flag=False,
    flag_value=REFERENCE,
    metavar="[FILE]",
    help=f"Write the reference of indicators and columns, to {REFERENCE} unless told otherwise.",
)
@click.pass_context
def catalogue(context: click.Context, reference: Path | None) -> None:
    """What is counted, how cells are numbered, what tables show."""
    if reference:
        from territoriale.reference import reference as written

        reference.write_text(written(), "utf-8")
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())


@catalogue.command()
@click.option("--family", help="Only this family, such as web or people.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of lines.")
def cells(family: str | None, as_json: bool) -> None:
    """List cells: code, family, measure and dimensions."""
    if family is not None and family not in CATALOGUE.families:
        raise click.BadParameter(
            f"no family {family!r}; there are {', '.join(CATALOGUE.families)}", param_hint="--family"
        )
    chosen = [cell for cell in CATALOGUE.cells.values() if family in {None, cell.family}]
    click.echo(msgspec.json.encode(chosen) if as_json else "\n".join(map(describe, chosen)))


@catalogue.command()
@click.argument("table", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON value instead of lines.")
def tables(table: str | None, as_json: bool) -> None:
    """List the tables, or the columns of one."""
    if table is not None and table not in CATALOGUE.tables:
        raise click.BadParameter(f"no table {table!r}; there are {', '.join(CATALOGUE.tables)}", param_hint="TABLE")
    if table is None:
        _print_tables(as_json=as_json)
    else:
        columns = CATALOGUE.tables[table].columns
        lines = (f"{column.id:24} {column.indicator:3} {column.group} · {column.label}" for column in columns)
        click.echo(msgspec.json.encode(columns) if as_json else "\n".join(lines))


def _print_tables(*, as_json: bool) -> None:
    lines = (f"{table.id:28} {table.label}" for table in CATALOGUE.tables.values())
    click.echo(msgspec.json.encode(list(CATALOGUE.tables)) if as_json else "\n".join(lines))


def describe(cell: Cell) -> str:
    """One cell in a line: its code, then what it names."""
    return f"{cell.code:5} {cell_name(cell)}"


def cell_name(cell: Cell) -> str:
    """`family/measure` and the dimensions that apply, such as `web/connections eleve mobile ent`."""
    dimensions = (cell.profile, cell.channel, cell.access, cell.level)
    return " ".join((f"{cell.family}/{cell.measure}", *filter(None, dimensions)))
