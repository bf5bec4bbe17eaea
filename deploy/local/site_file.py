"""Ports and cadence of a running stack, kept beside its secrets so that other commands find it."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.local.credentials import credentials
from deploy.local.stack import Site

FILE = "site.json"


def write_site(site: Site) -> None:
    (site.folder / FILE).write_text(json.dumps({"ports": dict(site.ports), "cadence_s": site.cadence_s}))


def read_site(folder: Path) -> Site:
    known = json.loads((folder / FILE).read_text())
    return Site(folder, known["ports"], credentials(folder), known["cadence_s"])
