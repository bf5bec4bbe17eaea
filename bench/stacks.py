"""Whole local stacks for a bench, brought up as an operator would: every service a process, everything through the gateway."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from bench.servers import fresh_folder
from deploy.local.site_file import read_site
from deploy.local.stack import Site
from tests.support.stacks import Stack, stack_of

OK = 200


@dataclass(frozen=True)
class Whole:
    """A running stack, its addresses and its territory's folder."""

    stack: Stack
    site: Site
    territory: Path

    def pid_of(self, service: str) -> int:
        """The process of one service."""
        nodes = self.stack.status()["stacks"][0]["nodes"]
        return int(nodes[service]["pid"])


@contextmanager
def whole_stack(uais: Sequence[str], first_line: str, now: datetime | None) -> Iterator[Whole]:
    """A territory of collèges, each with a journal of one line, read and visible."""
    folder = fresh_folder()
    try:
        territory = folder / "territory"
        _write(territory, uais, first_line)
        with stack_of(territory, folder / "local", now) as stack:
            yield Whole(stack, read_site(stack.state), territory)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(territory: Path, uais: Sequence[str], line: str) -> None:
    territory.mkdir()
    entries = [
        f'[[establishment]]\nuai = "{uai}"\nname = "Collège {number} (fictif)"\ntype = "college"\nzone = "Europe/Paris"\n'
        for number, uai in enumerate(uais)
    ]
    (territory / "territory.toml").write_text('name = "Bench"\nzone = "Europe/Paris"\n\n' + "\n".join(entries), "utf-8")
    for uai in uais:
        (territory / uai).mkdir()
        (territory / uai / "agent.toml").write_text('journal = "journal.ndjson"\n')
        (territory / uai / "journal.ndjson").write_text(line)


class Door:
    """One kept connection to the gateway. Hand-made, because a client library would take a part of what is measured."""

    def __init__(self, url: str, token: str) -> None:
        self._address = urlsplit(url)
        self._token = token

    async def __aenter__(self) -> Self:
        assert self._address.hostname
        self._reader, self._writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def get(self, path: str) -> bytes:
        """The body of a 200; AssertionError for anything else."""
        status, body = await self.ask(path)
        assert status == OK, f"{path}: {status} {body[:300]!r}"
        return body

    async def ask(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        request = (
            f"GET /api/v1{path} HTTP/1.1\r\nHost: {self._address.netloc}\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        )
        self._writer.write(request.encode())
        status, *headers = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        length = next(int(line.split(":")[1]) for line in headers if line.lower().startswith("content-length:"))
        return int(status.split()[1]), await self._reader.readexactly(length)
