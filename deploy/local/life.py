"""The life of one stack inside the process that supervises it: from an empty folder to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from deploy.local import demonstration
from deploy.local.credentials import credentials
from deploy.local.diagnosis import refuse_full_disk
from deploy.local.errors import RegistryUnreachableError
from deploy.local.kafka import kafka_is_here
from deploy.local.output import Choice, Output
from deploy.local.places import ROOT
from deploy.local.ports import fixed_ports, free_ports, refuse_busy
from deploy.local.process import run_to_end
from deploy.local.program import Node
from deploy.local.reading import Reading, reading_nodes
from deploy.local.request import Request
from deploy.local.running import end_leftovers, enter, forget, held, leave
from deploy.local.site_file import write_site
from deploy.local.stack import CADENCE_S, Site, brought, ports_in_use, python_environment, stack_nodes, without_absent
from deploy.local.status import State
from deploy.local.supervisor import Supervisor

SILENCE_S = 5.0
"""While a start takes its time, what it waits for is said this often."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Whoever started the stack: hears sentences, changes of state, now and then what is awaited, and at the end the address.

    With the address comes the bearer token, None where no territory was registered that it could belong to.
    """

    say: Callable[[str], None]
    changed: Callable[[str, State], None]
    awaiting: Callable[[list[str]], None]
    ready: Callable[[Site, str | None], None]


async def live(request: Request, listener: Listener, end: asyncio.Event, show: Choice | None) -> None:
    """Start what was asked, announce it, and stop it when `end` is set. Raises `LocalStackError`s; leaves nothing running."""
    refuse_full_disk(request.state)
    with held(request.state), _cleared_after(request):
        end_leftovers(request.state)
        site = _site(request)
        await _fetch_once(site, listener, end)
        if end.is_set():
            return
        enter(request.state, ephemeral=request.ephemeral, url=site.url)
        output = Output(request.state / "logs", show)
        supervisor = Supervisor(_nodes(request, site), output, request.state, listener.changed)
        bearer = site.credentials.token if request.territory or request.demonstration else None
        patience = asyncio.create_task(_say_what_is_awaited(supervisor, listener))

        def announce() -> None:
            patience.cancel()
            listener.ready(site, bearer)

        try:
            await supervisor.run(end, announce)
        finally:
            patience.cancel()


async def _say_what_is_awaited(supervisor: Supervisor, listener: Listener) -> None:
    while True:
        await asyncio.sleep(SILENCE_S)
        listener.awaiting(supervisor.awaited())


@contextlib.contextmanager
def _cleared_after(request: Request) -> Iterator[None]:
    """A start that failed leaves its logs, because its last sentence names them."""
    failed = True
    try:
        yield
        failed = False
    finally:
        leave(request.state)
        if request.ephemeral:
            forget(request.state, keep_logs=failed)


def _site(request: Request) -> Site:
    ports = fixed_ports() if request.fixed_ports else free_ports()
    refuse_busy(ports_in_use(ports))
    cadence_s = demonstration.CADENCE_S if request.demonstration else CADENCE_S
    site = Site(request.state, ports, credentials(request.state), cadence_s)
    write_site(site)
    return site


async def _fetch_once(site: Site, listener: Listener, end: asyncio.Event) -> None:
    """In a process of its own, which an interruption can end in the middle of a download."""
    if brought("kafka") or kafka_is_here():
        return
    listener.say("fetching Apache Kafka (45 MB, once)")
    command = (sys.executable, "-m", "territoriale", "local", "fetch")
    fetching = asyncio.create_task(run_to_end(command, environment=python_environment(site), folder=ROOT))
    ending = asyncio.create_task(end.wait())
    await asyncio.wait((fetching, ending), return_when=asyncio.FIRST_COMPLETED)
    if not fetching.done():
        fetching.cancel()
        return
    ending.cancel()
    code, said = fetching.result()
    if code:
        raise RegistryUnreachableError(
            said.strip().splitlines()[-1] if said.strip() else "Kafka's jars could not be fetched."
        )


def _nodes(request: Request, site: Site) -> Sequence[Node]:
    nodes = stack_nodes(site)
    if request.demonstration:
        return without_absent([*nodes, *demonstration.demonstration_nodes(site)])
    if request.territory is None:
        return nodes
    return without_absent([*nodes, *reading_nodes(site, Reading(request.territory, request.follow))])


def end_at_signals() -> asyncio.Event:
    """Set at Ctrl-C, SIGTERM or a closed terminal."""
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end.set)
    return end
