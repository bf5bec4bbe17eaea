"""Keeps one server alone, for whoever needs a real one (the test suite): started, announced, and gone with its user.

Usage: python -m deploy.local.keeper (kafka|postgres|valkey) FOLDER PID. Prints one JSON line when the server is ready, then stays
until SIGTERM or until process PID has ended in whatever way; removes FOLDER at the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from deploy.local.errors import LocalStackError
from deploy.local.output import Output
from deploy.local.ports import free_port
from deploy.local.program import Program
from deploy.local.supervisor import Supervisor

Kept = tuple[Program, dict[str, object]]

CARELESS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""PostgreSQL settings for data that nobody will miss: tests start and finish twice as fast."""


async def _kafka(folder: Path) -> Kept:
    from deploy.local.jars import fetch_jars
    from deploy.local.java import find_java
    from deploy.local.kafka import KafkaPorts, fetch_kafka, kafka_program

    broker = free_port()
    ports = KafkaPorts(broker, free_port((broker,)))
    await fetch_kafka(lambda _: None, ports)
    return kafka_program(folder / "kafka", ports, java=find_java(), jars=fetch_jars()), {"port": ports.broker}


async def _postgres(folder: Path) -> Kept:
    from deploy.local.postgres import ROLES, local_cluster, postgres_program

    passwords = {role: secrets.token_urlsafe(12) for role in ("postgres", *ROLES)}
    cluster = local_cluster(folder / "postgres", free_port(), passwords, CARELESS)
    return postgres_program(cluster), {"port": cluster.port, "passwords": passwords, "binaries": str(cluster.binaries)}


async def _valkey(folder: Path) -> Kept:
    from deploy.local.valkey import valkey_program

    port, password = free_port(), secrets.token_urlsafe(12)
    return valkey_program(folder / "valkey", port=port, password=password), {"port": port, "password": password}


PARTS: dict[str, Callable[[Path], Awaitable[Kept]]] = {"kafka": _kafka, "postgres": _postgres, "valkey": _valkey}


async def keep(part: str, folder: Path, user: int) -> None:
    """The whole life of a kept server."""
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    watch = asyncio.create_task(end_of_process(user))
    watch.add_done_callback(lambda _: end.set())
    program, address = await PARTS[part](folder)
    supervisor = Supervisor([program], Output(folder / "logs"), folder)
    try:
        await supervisor.run(end, lambda: print(json.dumps(address), flush=True))
    finally:
        watch.cancel()


async def end_of_process(pid: int) -> None:
    """Wait until that process is over; by the kernel's word on Linux, by asking twice a second elsewhere."""
    if not hasattr(os, "pidfd_open"):
        while psutil.pid_exists(pid):  # noqa: ASYNC110 - macOS tells nobody but the parent
            await asyncio.sleep(0.5)
        return
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def main() -> None:
    part, folder, user = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(keep(part, folder, user))
    except LocalStackError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        sys.exit(error.exit_code)
    finally:
        _forget(part, folder)


def _forget(part: str, folder: Path) -> None:
    if part == "postgres":
        from deploy.local.postgres import forget_cluster

        forget_cluster(folder / "postgres")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
