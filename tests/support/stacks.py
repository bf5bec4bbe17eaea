"""A whole local stack for a test: brought up as an operator would, asked through its gateway, taken down again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from deploy.local.places import cache_folder
from deploy.local.running import forget

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

UP_WITHIN_S = 300
"""A first start may have to fetch Kafka's jars."""


@dataclass(frozen=True)
class Stack:
    """One running stack; `local` is its TERRITORIALE_LOCAL folder, of which it is the only tenant."""

    url: str
    token: str
    local: Path
    state: Path
    environment: dict[str, str]
    client: httpx.Client

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        chosen = {name: value for name, value in parameters.items() if value is not None}
        return self.client.get(f"/api/v1{path}", params=chosen)

    def json(self, path: str, **parameters: Any) -> Any:
        response = self.get(path, **parameters)
        assert response.status_code == 200, f"{response.request.url}: {response.status_code} {response.text[:500]}"
        return response.json()

    def table(self, table: str, **asked: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.json(f"/tables/{table}", **asked)
        return found

    def csv(self, table: str, **asked: Any) -> str:
        response = self.get(f"/tables/{table}.csv", **asked)
        assert response.status_code == 200, f"{response.request.url}: {response.status_code} {response.text[:500]}"
        return response.content.decode("utf-8")

    def command(self, *words: str, within_s: float = 120) -> subprocess.CompletedProcess[str]:
        return run(words, self.environment, within_s)

    def status(self) -> Any:
        return json.loads(self.command("local", "status", "--json").stdout)


def run(words: tuple[str, ...], environment: dict[str, str], within_s: float) -> subprocess.CompletedProcess[str]:
    """`territoriale …` as an operator would type it."""
    command = [sys.executable, "-m", "territoriale", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=within_s, check=False)


def environment_for(local: Path, now: datetime | None) -> dict[str, str]:
    """A folder of its own, so that `local down` ends nobody else's stack; the fetched jars are shared."""
    local.mkdir(parents=True, exist_ok=True)
    cache_folder().mkdir(parents=True, exist_ok=True)
    if not (local / "cache").exists():
        (local / "cache").symlink_to(cache_folder(), target_is_directory=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TERRITORIALE_")}
    fixed = {} if now is None else {"TERRITORIALE_NOW": now.isoformat()}
    return {**inherited, **fixed, "TERRITORIALE_LOCAL": str(local)}


@contextmanager
def stack_of(
    territory: Path, local: Path, now: datetime | None, *options: str, brought: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """`local up --territory`, and `local down` whatever happens. `brought`: variables of an operator who has servers already."""
    environment = {**environment_for(local, now), **(brought or {})}
    state = local / "state"
    words = ("local", "up", "--territory", str(territory), "--state", str(state), "--json", *options)
    try:
        up = run(words, environment, UP_WITHIN_S)
        assert up.returncode == 0, f"up said {up.stdout[-2000:]} {up.stderr[-4000:]}"
        answer = json.loads(up.stdout.strip().splitlines()[-1])
        headers = {"Authorization": f"Bearer {answer['token']}"}
        with httpx.Client(base_url=answer["url"], headers=headers, timeout=30) as client:
            yield Stack(answer["url"], answer["token"], local, state, environment, client)
    finally:
        run(("local", "down"), environment, 120)
        forget(state, keep_logs=True)  # PostgreSQL's data may lie outside of it, where no test's folder is cleared away
