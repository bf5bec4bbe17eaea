"""What a bench is doing, on standard error: standard output is for its figures."""

from __future__ import annotations

import click


def say(sentence: str) -> None:
    """One line of progress."""
    click.echo(f"  … {sentence}", err=True)
