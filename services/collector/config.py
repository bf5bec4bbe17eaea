"""Settings of an agent: one TOML file for the process, one `agent.toml` in the folder of each establishment's sources."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from chassis.clock import parse_instant
from contracts.catalogue import CATALOGUE
from contracts.uai import InvalidUaiError, parse_uai
from services.collector.clock import AgentClock
from services.collector.errors import SettingsError
from services.collector.files import find

SOURCES_FILE = "agent.toml"
DEFAULT_CADENCE_SECONDS = 300
"""Five minutes: the resolution that whoever keeps every message could reach (privacy page); seconds in the demonstration."""


Outlet = Literal["auto", "https", "kafka"]
"""How reports leave; `auto`: through the gateway where one is given, else to Kafka."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class GrantSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"first": "from", "last": "to"}):
    """Local days, both included, of which this agent counts a family; unbounded where absent."""

    family: str
    first: date | None = None
    last: date | None = None


class KafkaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Change `bootstrap` when the platform's brokers move.

    `security`: how they are spoken to; `ca`: file of the authority that vouches for them. `user` and the password that stands
    alone in `password_file` (or in TERRITORIALE_KAFKA_PASSWORD) are for SASL.
    """

    bootstrap: str = ""
    security: Literal["plain", "tls", "sasl-tls", "sasl"] = "plain"
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    user: str = ""
    password_file: str = ""
    ca: str = ""


class GatewaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`url`: where the platform is; empty for an agent without one. `ca`: file of a private authority that vouches for it."""

    url: str = ""
    ca: str = ""


class _EstablishmentEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    uai: str
    zone: str
    type: str
    sources: str
    grants: tuple[GrantSettings, ...] | None = None


class _AgentFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    agent: str
    state: str
    key: str
    cadence_seconds: float = DEFAULT_CADENCE_SECONDS
    outlet: Outlet = "auto"
    rotate_key_days: int = 0
    gateway: GatewaySettings = GatewaySettings()
    kafka: KafkaSettings = KafkaSettings()
    establishment: tuple[dict[str, Any], ...] = ()


class SourcesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an establishment's `agent.toml` says; paths are relative to its folder and what is absent is not read.

    `hosts`: names beside the hosted one, of this establishment or each with the UAI it belongs to. `cas`: whether there is an ENT.
    """

    journal: str | tuple[str, ...] = ()
    access_log: str | tuple[str, ...] = ()
    census: str = ""
    census_afterwards: Literal["left", "archived", "deleted"] = "left"
    connections_from: Literal["", "journal", "access-log"] = ""
    hosts: tuple[str, ...] | dict[str, str] = ()
    host_first: bool = False
    cas: bool = True

    @property
    def journal_paths(self) -> tuple[str, ...]:
        return (self.journal,) if isinstance(self.journal, str) else self.journal

    @property
    def access_log_paths(self) -> tuple[str, ...]:
        return (self.access_log,) if isinstance(self.access_log, str) else self.access_log

    def hosts_of(self, uai: str) -> tuple[str, ...]:
        """Hosts of an establishment whose `agent.toml` this is."""
        if isinstance(self.hosts, dict):
            return tuple(host for host, owner in self.hosts.items() if owner.strip().upper() == uai)
        return self.hosts

    @property
    def connections_source(self) -> str:
        """The source in charge of connections by web and mobile: the journal if there is one, unless set otherwise."""
        if self.connections_from:
            return self.connections_from
        return "journal" if self.journal or not self.access_log else "access-log"


@dataclass(frozen=True)
class EstablishmentSettings:
    """One establishment this agent serves; `folder` is what its sources' paths are relative to.

    `neighbours`: establishments of the same agent that name an access log of this one: their hosts are nobody else's business.
    """

    uai: str
    zone: ZoneInfo
    type: str
    folder: Path
    sources: SourcesSettings
    grants: tuple[GrantSettings, ...] | None = None
    neighbours: tuple[EstablishmentSettings, ...] = ()

    def grants_family(self, family: str, day: date) -> bool:
        """Whether `family` may be counted on a local day."""
        return self.grants_some_of(family, day, day)

    def grants_some_of(self, family: str, first: date, last: date) -> bool:
        """Whether `family` may be counted on some local day from `first` to `last`, both included."""
        if self.grants is None:
            return True
        return any(
            grant.family == family
            and (grant.first is None or grant.first <= last)
            and (grant.last is None or first <= grant.last)
            for grant in self.grants
        )


@dataclass(frozen=True)
class AgentSettings:
    """The whole process; `refused` are the establishments whose own settings cannot be used: the others go on."""

    agent: str
    state: Path
    key: Path
    cadence_seconds: float
    bootstrap: str
    establishments: tuple[EstablishmentSettings, ...]
    refused: tuple[SettingsError, ...] = ()
    clock: AgentClock = field(default_factory=AgentClock)
    outlet: Outlet = "auto"
    rotate_key_days: int = 0
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    kafka: KafkaSettings = field(default_factory=KafkaSettings)

    @property
    def publishes_by(self) -> Literal["https", "kafka"]:
        """The outlet that these settings choose."""
        if self.outlet != "auto":
            return self.outlet
        return "https" if self.gateway.url else "kafka"


_T = TypeVar("_T")
_Files = TypeVar("_Files", GatewaySettings, KafkaSettings)


def read_settings(path: Path) -> AgentSettings:
    """Read and check a settings file; `SettingsError` names file and field of a fault that concerns the whole process."""
    found = _convert(path, _read(path), _AgentFile)
    _check_process(path, found)
    accepted: dict[str, EstablishmentSettings] = {}
    refused: list[SettingsError] = []
    for place, entry in enumerate(found.establishment):
        try:
            establishment = _establishment(path, place, entry, accepted)
            accepted[establishment.uai] = establishment
        except SettingsError as error:
            refused.append(error)
    return AgentSettings(
        agent=found.agent,
        state=path.parent / found.state,
        key=path.parent / found.key,
        cadence_seconds=found.cadence_seconds,
        bootstrap=os.environ.get("TERRITORIALE_KAFKA") or found.kafka.bootstrap,
        establishments=with_neighbours(tuple(accepted.values())),
        refused=tuple(refused),
        clock=_clock(),
        outlet=found.outlet,
        rotate_key_days=found.rotate_key_days,
        gateway=_beside(path, found.gateway, "ca"),
        kafka=_beside(path, found.kafka, "ca", "password_file"),
    )


def _check_process(path: Path, found: _AgentFile) -> None:
    if found.cadence_seconds <= 0:
        raise SettingsError(str(path), "cadence_seconds", "must be greater than 0")
    if found.rotate_key_days < 0:
        raise SettingsError(str(path), "rotate_key_days", "must be 0 (never) or greater")
    if found.gateway.url:
        check_url(str(path), "gateway.url", found.gateway.url)
    elif found.outlet == "https" or found.rotate_key_days:
        raise SettingsError(str(path), "gateway.url", "is needed where reports leave by https or keys are rotated")


def check_url(file: str, where: str, url: str) -> None:
    """`SettingsError` unless reports may travel there: encrypted, or within this machine."""
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in {"https", "http"}:
        raise SettingsError(file, where, f"{url!r} is no address such as https://console.example.fr")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise SettingsError(file, where, f"{url!r} is not encrypted: https is needed")


def _beside(path: Path, settings: _Files, *fields: str) -> _Files:
    """Files that settings name, relative to their own."""
    given = {name: str(path.parent / getattr(settings, name)) for name in fields if getattr(settings, name)}
    return msgspec.structs.replace(settings, **given)


def with_neighbours(establishments: tuple[EstablishmentSettings, ...]) -> tuple[EstablishmentSettings, ...]:
    """Each with those that share an access log with it."""
    logs = {each.uai: _access_logs(each) for each in establishments if each.sources.access_log}
    return tuple(
        replace(each, neighbours=tuple(other for other in establishments if _share(logs, each.uai, other.uai)))
        for each in establishments
    )


def _access_logs(establishment: EstablishmentSettings) -> set[str]:
    """What names the logs, and the files there are now: one pattern may hold another's file."""
    patterns = establishment.sources.access_log_paths
    found, _ = find(establishment.folder, patterns)
    return {os.path.normpath(establishment.folder.resolve() / pattern) for pattern in patterns} | set(map(str, found))


def _share(logs: dict[str, set[str]], one: str, other: str) -> bool:
    return one != other and bool(logs.get(one, set()) & logs.get(other, set()))


def read_sources(folder: Path) -> SourcesSettings:
    """What is to be read for the establishment whose sources live in `folder`."""
    path = folder / SOURCES_FILE
    sources = _convert(path, _read(path), SourcesSettings)
    if sources.connections_from == "journal" and not sources.journal:
        raise SettingsError(str(path), "connections_from", "is journal, but no journal is given")
    if sources.connections_from == "access-log" and not sources.access_log:
        raise SettingsError(str(path), "connections_from", "is access-log, but no access_log is given")
    return sources


def _establishment(
    path: Path, place: int, entry: dict[str, Any], accepted: dict[str, EstablishmentSettings]
) -> EstablishmentSettings:
    where = f"establishment[{place}]"
    checked = _convert(path, entry, _EstablishmentEntry, where)
    uai = _checked_uai(path, where, checked.uai)
    if uai in accepted:
        raise SettingsError(str(path), f"{where}.uai", f"{uai} is given twice")
    _check_grants(path, where, checked.grants or ())
    folder = path.parent / checked.sources
    return EstablishmentSettings(
        uai=uai,
        zone=_checked_zone(path, where, checked.zone),
        type=checked.type,
        folder=folder,
        sources=read_sources(folder),
        grants=checked.grants,
    )


def _checked_uai(path: Path, where: str, text: str) -> str:
    try:
        return parse_uai(text)
    except InvalidUaiError as error:
        raise SettingsError(str(path), f"{where}.uai", str(error)) from error


def _checked_zone(path: Path, where: str, name: str) -> ZoneInfo:
    if name not in available_timezones():
        raise SettingsError(str(path), f"{where}.zone", f"{name!r} is not a time zone (for example Europe/Paris)")
    return ZoneInfo(name)


def _check_grants(path: Path, where: str, grants: tuple[GrantSettings, ...]) -> None:
    for place, grant in enumerate(grants):
        if grant.family not in CATALOGUE.families:
            raise SettingsError(str(path), f"{where}.grants[{place}].family", f"no family {grant.family!r}")


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():  # a pipe would hold its reader for ever
            raise SettingsError(str(path), "", "is a folder, a pipe or a device, not a file")
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(str(path), "", "there is no such file") from None
    except OSError as error:
        raise SettingsError(str(path), "", f"cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(str(path), "", f"is not TOML: {error}") from error


def _convert(path: Path, found: dict[str, Any], kind: type[_T], where: str = "") -> _T:
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        detail, _, place = str(error).partition(" - at `$")
        parts = (where, place.rstrip("`").strip("."), _field_in(detail))
        raise SettingsError(str(path), ".".join(part for part in parts if part), detail) from error


def _field_in(detail: str) -> str:
    """Msgspec names a missing or unknown field in its text only."""
    return detail.split("`")[1] if "field `" in detail else ""


def _clock() -> AgentClock:
    text = os.environ.get("TERRITORIALE_NOW")
    if not text:
        return AgentClock()
    try:
        return AgentClock(parse_instant(text))
    except ValueError as error:
        raise SettingsError("environment", "TERRITORIALE_NOW", str(error)) from None
