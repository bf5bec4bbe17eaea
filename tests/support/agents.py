"""Agents run by a test as an operator would run them: a settings file, a key, one process."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True)
class Agent:
    """`settings` names everything; the key is the same for the same `seed`, so that even signatures may be compared."""

    name: str
    settings: Path
    bootstrap: str
    now: datetime

    def start(self, *, follow: bool = False, module: tuple[str, ...] = ("territoriale",)) -> subprocess.Popen[str]:
        """`agent run`, to the end of its sources unless it is to `follow` them. `module` runs it with something added."""
        words = ["agent", "run", "--settings", str(self.settings), *([] if follow else ["--until-idle"])]
        command = [sys.executable, "-m", *module, *words]
        environment = {**os.environ, "TERRITORIALE_NOW": self.now.isoformat(), "TERRITORIALE_KAFKA": self.bootstrap}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self) -> str:
        """Read all sources to their end and publish; what it said."""
        return finished(self.start())


def finished(process: subprocess.Popen[str], code: int = 0) -> str:
    """What an agent has said once it has ended, with this exit code."""
    said, _ = process.communicate(timeout=120)
    assert process.returncode == code, f"exit code {process.returncode}: {said[-4000:]}"
    return said


def agent_for(territory: Path, folder: Path, *, name: str, seed: bytes, bootstrap: str, now: datetime) -> Agent:
    """Settings for one agent that reads every establishment of a written territory."""
    folder.mkdir(parents=True)
    key = Ed25519PrivateKey.from_private_bytes(seed.ljust(32, b"-"))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "agent.key").write_bytes(pem)
    (folder / "agent.key").chmod(0o600)
    described = tomllib.loads((territory / "territory.toml").read_text("utf-8"))["establishment"]
    lines = [f'agent = "{name}"', 'state = "agent.sqlite"', 'key = "agent.key"', "cadence_seconds = 3600"]
    lines += ["[kafka]", f'bootstrap = "{bootstrap}"']
    for each in described:
        if (territory / each["uai"] / "agent.toml").exists() and each.get("convention") != "none":
            sources = (territory / each["uai"]).as_posix()
            lines += ["[[establishment]]", f'uai = "{each["uai"]}"', f'zone = "{each["zone"]}"']
            lines += [f'type = "{each["type"]}"', f'sources = "{sources}"']
    (folder / "settings.toml").write_text("\n".join(lines) + "\n", "utf-8")
    return Agent(name, folder / "settings.toml", bootstrap, now)
