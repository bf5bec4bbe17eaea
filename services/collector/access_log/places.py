"""Whose a host is: the establishments that an access log speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from services.collector.access_log.formats import NO_HOST, host_of
from services.collector.errors import CollectorError

if TYPE_CHECKING:
    from collections.abc import Iterable


class HostOfTwoError(CollectorError):
    """Two establishments claim one host of the same log: one of the two settings is wrong."""

    code = "host_of_two"
    exit_code = 2

    def __init__(self, host: str, first: str, second: str) -> None:
        super().__init__(f"hosts: {host} is given for {first} and for {second}")


class Establishment(msgspec.Struct, frozen=True):
    """An establishment of a log: its hosts beside the hosted one, and whether it has an ENT at all (`cas`)."""

    uai: str
    hosts: tuple[str, ...] = ()
    cas: bool = True


class Places:
    """Establishments by host. Lines without a host are the sole establishment's; nobody's where several share the log."""

    def __init__(self, establishments: Iterable[Establishment], hosted_domains: Iterable[str]) -> None:
        self._by_host: dict[str, Establishment] = {}
        everyone, domains = tuple(establishments), tuple(hosted_domains)
        for each in everyone:
            for host in (*(f"{each.uai}.{domain}" for domain in domains), *each.hosts):
                self._add(host_of(host.encode()), each)
        if len(everyone) == 1:
            self._by_host[NO_HOST] = everyone[0]
        self.of = self._by_host.get

    def _add(self, host: str, establishment: Establishment) -> None:
        known = self._by_host.setdefault(host, establishment)
        if known.uai != establishment.uai:
            raise HostOfTwoError(host, known.uai, establishment.uai)
