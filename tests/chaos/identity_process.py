"""`python -m tests.chaos.identity_process POINT [WORD…]`: the identity service, or `territoriale admin WORD…`, killed hard at POINT.

The points are set here, by wrapping, so that the product has none.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from services.identity.__main__ import main as serve
from services.identity.cli import admin
from services.identity.outbox import OutboxRelay
from services.identity.rights_board import RightsBoard
from services.identity.store import RegistryStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Work = Callable[..., Awaitable[Any]]

OF_A_COMMAND = ("before-database-commit", "before-announcing")
OF_THE_OUTBOX = ("before-publishing", "after-publishing", "before-clearing", "after-clearing")
NOWHERE = "nowhere"


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_before(work: Work) -> Any:
    """Unless there is nothing to do: the last argument says what."""

    async def wrapped(*arguments: Any) -> Any:
        if arguments[-1]:
            _die()
        return await work(*arguments)

    return wrapped


def _die_after(work: Work) -> Any:
    """Unless there was nothing to do: the last argument or the result says so."""

    async def wrapped(*arguments: Any) -> Any:
        done = await work(*arguments)
        if done or (done is None and arguments[-1]):
            _die()
        return done

    return wrapped


def set_point(name: str) -> None:
    match name:
        case "before-database-commit":
            RegistryStore.leave_in_outbox = _die_after(RegistryStore.leave_in_outbox)  # type: ignore[method-assign]
        case "before-announcing":
            RightsBoard.announce = _die_before(RightsBoard.announce)  # type: ignore[method-assign]
        case "before-publishing":
            RegistryStore.take_from_outbox = _die_after(RegistryStore.take_from_outbox)  # type: ignore[method-assign]
        case "after-publishing":
            RegistryStore.clear_outbox = _die_before(RegistryStore.clear_outbox)  # type: ignore[method-assign]
        case "before-clearing":
            RegistryStore.clear_outbox = _die_after(RegistryStore.clear_outbox)  # type: ignore[method-assign]
        case "after-clearing":
            OutboxRelay.publish_some = _die_after(OutboxRelay.publish_some)  # type: ignore[method-assign]
        case _ if name != NOWHERE:
            raise SystemExit(f"no such point: {name}")


if __name__ == "__main__":
    point, *words = sys.argv[1:]
    set_point(point)
    admin(words) if words else serve()
