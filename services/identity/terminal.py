"""What the registry's commands share: days and instants, one sentence for each failure, JSON or lines."""

# ruff: noqa: PLC0415 - heavy imports wait until a command runs

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from services.identity.service import Registrar

_T = TypeVar("_T")

BAD_INPUT, UNAVAILABLE = 2, 1
"""Exit codes: something to correct in the command, or something to start."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Day(click.ParamType[date]):
    """A local date, YYYY-MM-DD."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a date such as 2026-09-01", param, ctx)


class Instant(click.ParamType[datetime]):
    """An instant with its offset; a date alone is its first instant, UTC."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not an instant such as 2026-09-01T00:00:00+02:00", param, ctx)
        return instant if instant.tzinfo else self._without_offset(instant, str(value), param, ctx)

    def _without_offset(
        self, instant: datetime, given: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if len(given) > len("2026-09-01"):
            self.fail(f"{given!r} has no offset: write for example {given}+02:00, or Z", param, ctx)
        return instant.replace(tzinfo=UTC)


DAY, INSTANT = Day(), Instant()


def run(work: Callable[[Registrar], Awaitable[_T]]) -> _T:
    """Do something with a registrar; an expected failure is one sentence on standard error and an exit code."""
    from pydantic import ValidationError
    from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

    from chassis.errors import NamedError
    from chassis.logs import setup_logs
    from services.identity.config import RegistrarSettings
    from services.identity.errors import RegistryMissingError

    setup_logs("admin", level="WARNING")
    try:
        return asyncio.run(_work(RegistrarSettings(), work))
    except ValidationError as error:
        names = ", ".join(f"TERRITORIALE_{fault['loc'][0]}".upper() for fault in error.errors())
        give_up(f"the environment is not complete or not understood: set {names}", UNAVAILABLE)
    except NamedError as error:
        give_up(f"{error.code}: {error}", BAD_INPUT)
    except ProgrammingError:
        give_up(f"{RegistryMissingError.code}: {RegistryMissingError.title}", UNAVAILABLE)
    except (SQLAlchemyError, OSError) as error:
        give_up(f"unavailable: the registry's database does not answer ({type(error).__name__})", UNAVAILABLE)


async def _work(settings: Any, work: Callable[[Registrar], Awaitable[_T]]) -> _T:
    from services.identity.service import open_registrar

    async with open_registrar(settings) as registrar:
        return await work(registrar)


def checked(check: Callable[..., _T], *values: Any) -> _T:
    """A value that the registry can hold, or exit code 2."""
    from chassis.errors import NamedError

    try:
        return check(*values)
    except NamedError as error:
        give_up(f"{error.code}: {error}", BAD_INPUT)


def give_up(sentence: str, code: int = BAD_INPUT) -> NoReturn:
    """End the command with one sentence on standard error."""
    click.echo(sentence, err=True)
    sys.exit(code)


def show(value: object, lines: Iterable[str], *, as_json: bool) -> None:
    """Print a report as JSON or as lines."""
    import msgspec

    click.echo(msgspec.json.encode(value) if as_json else "\n".join(lines))


def span(start: date | datetime | None, end: date | datetime | None) -> str:
    return f"{start.isoformat() if start else '…'} → {end.isoformat() if end else '…'}"
