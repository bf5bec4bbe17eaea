"""Establishments without a journal, whose connections are presumed from an access log: a proxy that serves two of them."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tests.support.access_logs import Site, nginx_json, traffic
from tests.support.access_logs import write as write_log
from tests.support.territories import Place, TerritoryFolder, Traffic, beats, uai

if TYPE_CHECKING:
    from datetime import datetime


def add_logs(folder: TerritoryFolder, seed: int, now: datetime) -> None:
    """Two behind one proxy, one with a host of its own and without an ENT, since the middle of last month; and a host of nobody's."""
    hosted, own = Place(uai(750020), "Collège du mandataire"), Place(uai(750021), "Lycée du mandataire", type="lycee")
    sites = [
        Site(hosted.uai, f"{hosted.uai.lower()}.index-education.net"),
        Site(own.uai, "pronote.lycee.example", cas=False),
    ]
    end = now - timedelta(hours=7)
    hits, _ = traffic(seed, sites, now - timedelta(days=45), end, visits=220, noise=0.5)
    lines = [nginx_json(hit) for hit in hits if hit.at < now]
    third = len(lines) // 3
    write_log(folder.path / "proxy" / "access.log.1", lines[:third])
    write_log(folder.path / "proxy" / "access.log", lines[third:])
    for place, site in zip((hosted, own), sites, strict=True):
        folder.add(place, journal=None)
        (folder.path / place.uai).mkdir()
        cas = json.dumps(site.cas)
        settings = f'access_log = "../proxy/access.log*"\nhosts = {json.dumps([site.host])}\ncas = {cas}\n'
        (folder.path / place.uai / "agent.toml").write_text(settings, "utf-8")


def add_both(folder: TerritoryFolder, seed: int, now: datetime) -> None:
    """A log in charge of connections beside a journal that began later and has a hole, and a journal in charge beside a log."""
    for number, (charge, days) in enumerate((("access-log", 25), ("journal", 70))):
        place = folder.add(Place(uai(750022 + number), f"Collège aux deux sources ({charge})"), journal=None)
        site = Site(place.uai, f"{place.uai.lower()}.index-education.net")
        hits, _ = traffic(
            seed + number, [site], now - timedelta(days=45), now - timedelta(hours=7), visits=150, noise=0.2
        )
        write_log(folder.path / place.uai / "access.log", [nginx_json(hit) for hit in hits if hit.at < now])
        start = now - timedelta(days=days)
        lines = Traffic(random.Random(seed + number), ZoneInfo(place.zone)).lines(start, now, per_day=6)
        lines += beats(now - timedelta(days=20), now, [(now - timedelta(days=3), now - timedelta(days=2))])
        ordered = [line for _, line in sorted(lines, key=lambda each: each[0])]
        folder.write(f"{place.uai}/journal.ndjson", ordered)
        settings = f'journal = "journal.ndjson"\naccess_log = "access.log"\nconnections_from = "{charge}"\n'
        (folder.path / place.uai / "agent.toml").write_text(settings, "utf-8")
