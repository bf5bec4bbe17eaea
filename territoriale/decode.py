"""`territoriale decode`: a message of `usage.reported.v1` with its cells named."""

from __future__ import annotations

import json
import sys
from typing import IO

import click

from contracts.catalogue import CATALOGUE
from contracts.usage_reported import MalformedMessageError, Report, UsageReported, validate
from contracts.usage_reported import decode as decode_message
from territoriale.catalogue import cell_name


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
def decode(file: IO[bytes]) -> None:
    """Show a message as JSON with its cells named; FILE holds one message a line, standard input by default.

    With kcat: kcat -b 127.0.0.1:19092 -t usage.reported.v1 -C -e | territoriale decode
    """
    failed = False
    for number, line in enumerate(filter(bytes.strip, file), 1):
        try:
            click.echo(json.dumps(named(decode_message(line)), ensure_ascii=False, indent=2))
        except MalformedMessageError as error:
            failed = True
            click.echo(f"message {number}: {error.code}: {error}", err=True)
    sys.exit(2 if failed else 0)


def named(message: UsageReported) -> dict[str, object]:
    """The message with each report's cells as a mapping from name to count, and what is wrong with the report, if anything."""
    return {
        "agent": message.agent,
        "uai": message.uai,
        "catalogue": message.catalogue,
        "reports": [_named_report(report) for report in message.reports],
    }


def _named_report(report: Report) -> dict[str, object]:
    cells = {_name(code): count for code, count in zip(report.cells, report.counts, strict=False)}
    about = {"family": report.family, "grain": report.grain, "start": report.start}
    return {**about, "restatement": report.restatement, "cut": report.cut, "cells": cells, **_fault(report)}


def _name(code: int) -> str:
    return cell_name(CATALOGUE.cells[code]) if code in CATALOGUE.cells else f"unknown cell {code}"


def _fault(report: Report) -> dict[str, str]:
    try:
        validate(report)
    except MalformedMessageError as error:
        return {"fault": f"{error.code}: {error}"}
    return {}
