"""`make agent`: one wheel with what an agent imports and nothing else, its dependencies pinned as the lock file has them."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENTRY = "territoriale.agent_alone"
OWN = ("contracts", "chassis", "services", "territoriale")
DISTRIBUTIONS = {"nacl": "pynacl"}
"""Where a distribution bears another name than what is imported of it."""
FOR_KAFKA = ("aiokafka", "cramjam")
"""Only for agents that write to Kafka themselves: `pip install 'territoriale-agent[kafka]'`. cramjam compresses its messages."""
NOT_IMPORTED = ("tzdata",)
"""Read by zoneinfo where the system has no time zones."""
PYPROJECT = """
[project]
name = "territoriale-agent"
version = {version}
description = "Agent of the Console territoriale: counts beside a PRONOTE server, reports counters, never who."
requires-python = {python}
dependencies = {dependencies}

[project.optional-dependencies]
kafka = {kafka}

[project.scripts]
territoriale = "{entry}:main"

[build-system]
requires = {build}
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = {packages}
"""


def modules(name: str, found: dict[str, Path], outside: set[str]) -> None:
    """Our own modules that `name` imports, wherever in them it does, and the top names of what is not ours."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        each = ".".join(parts[:end])
        path = _file_of(each)
        if path is None or each in found:
            continue
        found[each] = path
        for imported in _imports(path):
            if imported.split(".")[0] in OWN:
                modules(imported, found, outside)
            else:
                outside.add(imported.split(".")[0])


def _file_of(name: str) -> Path | None:
    path = ROOT / Path(*name.split("."))
    candidates = (path / "__init__.py", path.with_suffix(".py"))
    return next((each for each in candidates if each.is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def pinned(names: set[str], lock: dict[str, Any]) -> list[str]:
    """Requirements of these distributions and of all that they need, each at its locked version."""
    packages = {package["name"]: package for package in lock["package"]}
    wanted: dict[str, str] = dict.fromkeys(names, "")
    waiting = sorted(names)
    while waiting:
        for needed in packages[waiting.pop()].get("dependencies", ()):
            if needed["name"] not in wanted:
                wanted[needed["name"]] = needed.get("marker", "")
                waiting.append(needed["name"])
    return [
        f"{name}=={packages[name]['version']}" + (f" ; {marker}" if marker else "")
        for name, marker in sorted(wanted.items())
    ]


def stage(folder: Path) -> None:
    """Write the sources of the wheel: modules, the data beside them, a pyproject."""
    found: dict[str, Path] = {}
    outside: set[str] = set()
    modules(ENTRY, found, outside)
    for path in found.values():
        _copy(path, folder)
        if path.name == "__init__.py":
            for beside in path.parent.rglob("*"):
                if _is_data(beside, path.parent):
                    _copy(beside, folder)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lock = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
    third = {DISTRIBUTIONS.get(name, name) for name in outside - set(sys.stdlib_module_names)} - set(FOR_KAFKA)
    values = {
        "version": project["project"]["version"],
        "python": project["project"]["requires-python"],
        "dependencies": pinned(third | set(NOT_IMPORTED), lock),
        "kafka": pinned(set(FOR_KAFKA), lock),
        "build": project["build-system"]["requires"],
        "packages": [name for name in OWN if (folder / name).is_dir()],
    }
    text = {name: json.dumps(value) for name, value in values.items()}
    (folder / "pyproject.toml").write_text(PYPROJECT.format(entry=ENTRY, **text), "utf-8")


def _is_data(path: Path, package: Path) -> bool:
    """Of a package, what is no module, and lies in no package of its own; examples and locks are the developers'."""
    if not path.is_file() or path.suffix in {".py", ".pyc", ".lock"} or "examples" in path.parts:
        return False
    return not any((each / "__init__.py").exists() for each in path.parents if package in each.parents)


def _copy(path: Path, folder: Path) -> None:
    target = folder / path.relative_to(ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def main() -> None:
    """Build into `dist/` with the uv that is given, and say what was made."""
    uv, out = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        stage(Path(name))
        subprocess.run([uv, "build", "--quiet", "--wheel", name, "--out-dir", str(out)], check=True)
    print(*sorted(out.glob("territoriale_agent-*.whl")), sep="\n")


if __name__ == "__main__":
    main()
