"""Who may know whom, and the defaults of our tools that lose data."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.architecture.sources import ROOT, Module, modules

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def calls(module: Module, name: str) -> list[ast.Call]:
    return [
        node
        for node in module.nodes
        if isinstance(node, ast.Call) and (getattr(node.func, "attr", None) or getattr(node.func, "id", "")) == name
    ]


def test_imports_follow_the_architecture():
    """Five services, one chassis, one contract: the contracts of import-linter stand in pyproject.toml."""
    run = subprocess.run([LINT_IMPORTS, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_subscriber_states_its_ack_policy():
    """FastStream's default for Kafka acknowledges before processing: a crash in a handler loses the batch for good."""
    subscribers = [(module.path, call) for module in modules("services") for call in calls(module, "subscriber")]
    assert subscribers, "somebody reads Kafka"
    silent = [
        f"{path}:{call.lineno}"
        for path, call in subscribers
        if "ack_policy" not in {each.arg for each in call.keywords}
    ]
    assert silent == []


def test_nothing_retries_a_poison_message_for_ever():
    """`NACK_ON_ERROR` on a bad message spins, thousands of times a minute, and blocks its partition."""
    spinning = [
        f"{module.path}:{node.lineno}"
        for module in modules("services")
        for node in module.nodes
        if isinstance(node, ast.Attribute) and node.attr == "NACK_ON_ERROR"
    ]
    assert spinning == []


def test_sql_is_written_in_stores_only():
    """One place per service to look for what reads and writes the data."""
    homes = ("store.py", "tables.py", "ledger.py")
    strays = [
        module.path
        for module in modules("services")
        if not module.path.endswith(homes) and "/migrations/" not in module.path and _writes_sql(module)
    ]
    assert strays == []


def _writes_sql(module: Module) -> bool:
    imported = {
        alias.name
        for node in module.nodes
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy")
        for alias in node.names
    }
    return bool(imported & {"select", "insert", "update", "delete", "text"})


def test_the_clock_is_an_argument():
    """Business time comes from `chassis.clock`: a hidden `now()` cannot be fixed by TERRITORIALE_NOW."""
    hidden = [
        f"{module.path}:{call.lineno}"
        for module in modules("services", "contracts")
        for name in ("now", "utcnow", "today")
        for call in calls(module, name)
        if _root(call.func) in ("datetime", "date")
    ]
    assert hidden == []


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return getattr(node, "id", "")
