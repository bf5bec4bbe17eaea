"""How long things may be (STYLE.md): the tail is what tires a reader."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.architecture.sources import PRODUCT, Module, modules, tracked

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_FUNCTION = 40
LONGEST_MODULE = 400
LONGEST_APP = 60
LONGER_ON_PURPOSE: dict[str, str] = {}
"""`path` or `path:function` → why the clearer code is the longer one here."""
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in module.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines_of_code(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """From `def` to the last line, the docstring not counted: explaining more is never the fault."""
    first = function.body[0]
    documented = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def test_functions_stay_under_forty_lines():
    """Migrations apart: a table is as long as its list of columns."""
    long = {
        f"{module.path}:{function.name}": lines_of_code(function)
        for module in modules(*PRODUCT, "tests")
        for function in functions(module)
        if lines_of_code(function) >= LONGEST_FUNCTION and "/migrations/" not in module.path
    }
    assert {name: lines for name, lines in long.items() if name not in LONGER_ON_PURPOSE} == {}


def test_modules_stay_under_four_hundred_lines():
    long = {module.path: module.lines for module in modules(*PRODUCT, "tests") if module.lines >= LONGEST_MODULE}
    assert {path: lines for path, lines in long.items() if path not in LONGER_ON_PURPOSE} == {}


def test_app_modules_only_wire():
    apps = [module for module in modules("services") if module.path.endswith("/app.py")]
    assert {module.path: module.lines for module in apps if module.lines > LONGEST_APP} == {}


def test_exceptions_to_the_lengths_are_still_needed():
    """An allowance outlives its reason unless something says so."""
    names = {
        f"{module.path}:{function.name}" for module in modules(*PRODUCT, "tests") for function in functions(module)
    }
    assert set(LONGER_ON_PURPOSE) <= names | set(tracked())


def test_every_module_of_the_product_says_what_it_is():
    silent = [module.path for module in modules(*PRODUCT) if module.tree.body and not ast.get_docstring(module.tree)]
    assert silent == []


@pytest.mark.parametrize("service", ["collector", "aggregator", "identity", "gateway"])
def test_services_use_the_same_file_names(service):
    """A reader who knows one service finds their way in the next."""
    expected = {"config.py", "errors.py", "cli.py"} if service == "collector" else {"app.py", "config.py", "errors.py"}
    assert expected <= {path.removeprefix(f"services/{service}/") for path in tracked()}


def test_no_module_is_a_drawer():
    drawers = [path for path in tracked() if path.endswith(".py") and set(path.removesuffix(".py").split("/")) & VAGUE]
    assert drawers == []
