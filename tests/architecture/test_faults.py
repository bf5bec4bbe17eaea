"""docs/faults.md and the tests: each row has its proofs, each proof exists, each test marked as one stands in its row."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

import pytest

from tests.architecture.sources import ROOT, Module, modules

CLAIMED = {*range(1, 19), 21, 24, 25, 29, 30, 33, 35}
PROOF = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@pytest.fixture(scope="module")
def rows() -> dict[int, set[tuple[str, str]]]:
    """Proofs by row."""
    lines = (ROOT / "docs" / "faults.md").read_text("utf-8").splitlines()
    cells = [line.split("|") for line in lines if re.match(r"\| \d+ \|", line)]
    return {int(row): set(PROOF.findall(proofs)) for _, row, _, _, proofs, _ in cells}


def _tests(module: Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [
        node
        for node in module.nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def _rows_of(test: ast.FunctionDef | ast.AsyncFunctionDef) -> list[int]:
    """Of `@pytest.mark.fault(row=…)`."""
    return [
        int(ast.literal_eval(each.value))
        for mark in test.decorator_list
        if isinstance(mark, ast.Call) and getattr(mark.func, "attr", "") == "fault"
        for each in mark.keywords
    ]


def test_every_row_has_its_proofs(rows):
    assert {row for row, proofs in rows.items() if proofs} == CLAIMED


def test_every_proof_exists(rows):
    there = {(module.path, test.name) for module in modules("tests") for test in _tests(module)}
    assert {proof for proofs in rows.values() for proof in proofs} - there == set()


def test_every_marked_test_stands_in_its_row(rows):
    marked = defaultdict(set)
    for module in modules("tests"):
        for test in _tests(module):
            for row in _rows_of(test):
                marked[row].add((module.path, test.name))
    assert marked
    assert {row: proofs - rows[row] for row, proofs in marked.items() if proofs - rows[row]} == {}


def test_every_test_of_chaos_is_marked():
    """Else `make chaos FAULT=<row>` passes it over."""
    silent = [
        f"{module.path}::{test.name}"
        for module in modules("tests")
        if module.path.startswith("tests/chaos/")
        for test in _tests(module)
        if not _rows_of(test)
    ]
    assert silent == []
