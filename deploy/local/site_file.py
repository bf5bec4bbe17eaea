"""Ports of a running stack, kept beside its secrets so that other commands find it."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.local.credentials import credentials
from deploy.local.stack import Site

FILE = "ports.json"


def write_site(site: Site) -> None:
    (site.folder / FILE).write_text(json.dumps(dict(site.ports)))


def read_site(folder: Path) -> Site:
    return Site(folder, json.loads((folder / FILE).read_text()), credentials(folder))
