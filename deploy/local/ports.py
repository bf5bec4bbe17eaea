"""Which port each part listens on: `ports.toml`, moved by `TERRITORIALE_PORT_<PART>`; or automatically free ones."""

from __future__ import annotations

import os
import random
import socket
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

import psutil

from deploy.local.errors import LocalStackError, PortBusyError

CARD = Path(__file__).with_name("ports.toml")

FREE_RANGE = (20_000, 32_000)
"""Where free ports are looked for: below the range from which the kernel takes the ports of outgoing connections, so that none
of these grabs one between our look and the server's start."""

LARGEST_PORT = 65_535


def fixed_ports() -> dict[str, int]:
    """The documented ports, with the operator's changes."""
    card: dict[str, int] = tomllib.loads(CARD.read_text())["ports"]
    return {part: _chosen(part) or port for part, port in card.items()}


def free_ports() -> dict[str, int]:
    """A port for every part that nobody uses now, except where the operator has chosen one."""
    ports: dict[str, int] = {}
    for part in fixed_ports():
        ports[part] = _chosen(part) or free_port(taken=ports.values())
    return ports


def free_port(taken: Collection[int] = ()) -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    candidates = range(*FREE_RANGE)
    for port in random.sample(candidates, len(candidates)):
        if port not in taken and is_free(port):
            return port
    raise PortBusyError(
        f"No port between {FREE_RANGE[0]} and {FREE_RANGE[1]} is free; stop some programs and try again."
    )


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def refuse_busy(ports: Mapping[str, int]) -> None:
    """Before anything is started: one sentence for all ports that somebody else uses, or for one that two parts share."""
    owners: dict[int, str] = {}
    busy: list[str] = []
    for part, port in ports.items():
        if port in owners:
            raise PortBusyError(
                f"{part} and {owners[port]} are both given port {port}; give one of them another with {variable(part)}."
            )
        owners[port] = part
        if not is_free(port):
            busy.append(
                f"Port {port}, where {part} should listen, is used by {_user_of(port)} ({variable(part)} moves it)"
            )
    if busy:
        raise PortBusyError(f"{'; '.join(busy)}. Stop what is there, or set other ports.")


def variable(part: str) -> str:
    """The environment variable that moves a part's port."""
    return f"TERRITORIALE_PORT_{part.upper()}"


def _chosen(part: str) -> int:
    text = os.environ.get(variable(part), "")
    if not text:
        return 0
    if not text.isdecimal() or not 0 < int(text) <= LARGEST_PORT:
        raise LocalStackError(f"{variable(part)}={text} is not a port; give a number from 1 to {LARGEST_PORT}.")
    return int(text)


def _user_of(port: int) -> str:
    """Best effort: the system shows only our own processes to an ordinary user."""
    try:
        for connection in psutil.net_connections("tcp"):
            if (
                connection.laddr
                and connection.laddr.port == port
                and connection.status == psutil.CONN_LISTEN
                and connection.pid
            ):
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return "another program"
