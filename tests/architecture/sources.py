"""The repository's own files, parsed once, for the checks of this folder."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("contracts", "chassis", "services", "deploy", "territoriale", "bench")


@dataclass(frozen=True)
class Module:
    path: str
    text: str
    tree: ast.Module

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All of the tree, walked once."""
        return tuple(ast.walk(self.tree))

    @property
    def lines(self) -> int:
        return self.text.count("\n")


@cache
def tracked() -> tuple[str, ...]:
    """Every file of the repository that is there: in git, or new and not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(sorted({each for each in listed.splitlines() if (ROOT / each).is_file()}))


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Python modules of these top folders."""
    return tuple(_module(each) for each in tracked() if each.endswith(".py") and each.split("/")[0] in folders)


@cache
def _module(path: str) -> Module:
    text = (ROOT / path).read_text("utf-8")
    return Module(path, text, ast.parse(text))


@cache
def texts() -> dict[str, str]:
    """Every tracked file that is text."""
    found = {}
    for path in tracked():
        try:
            found[path] = (ROOT / path).read_text("utf-8")
        except UnicodeDecodeError:
            continue
    return found
