"""Nothing postponed, nothing switched off, nothing that only works on somebody's machine."""

from __future__ import annotations

import ast
import re

from tests.architecture.sources import PRODUCT, ROOT, modules, texts

POSTPONED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
SWITCHED_OFF = re.compile(r"\b(?:skip|skipif|xfail|importorskip|skipTest|expectedFailure)\b")
OF_ONE_MACHINE = re.compile(r"(?<![\w.:$}~*<-])/(?:ro" + r"ot|wo" + r"rk|ho" + r"me/[a-z]+|Us" + r"ers)/[\w.]")
GENERATED = {"uv.lock"}


def test_nothing_is_postponed():
    found = [
        f"{path}: {match.group()}"
        for path, text in texts().items()
        if path not in GENERATED
        for match in POSTPONED.finditer(text)
    ]
    assert found == []


def test_no_test_is_skipped_or_expected_to_fail():
    """A test that does not run proves nothing, yet the closing line stays green."""
    used = [
        f"{module.path}:{node.lineno}"
        for module in modules("tests")
        for node in module.nodes
        if isinstance(node, ast.Attribute | ast.Name)
        and SWITCHED_OFF.fullmatch(str(getattr(node, "attr", None) or getattr(node, "id", "")))
    ]
    assert used == []


def test_every_test_can_fail():
    """An assertion, an expected exception, or a call to something that asserts: `assert…`, `expect…`, `check…`, `verify…`."""
    idle = [
        f"{module.path}:{node.name}"
        for module in modules("tests")
        for node in module.nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not _can_fail(node)
    ]
    assert idle == []


def _can_fail(test: ast.AST) -> bool:
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = str(getattr(node.func, "attr", None) or getattr(node.func, "id", ""))
            if re.match(r"_?(assert|expect|check|verify|valid|raises|fail|same_)", called):
                return True
    return False


def test_no_path_of_one_machine():
    found = [
        f"{path}: {match.group()}"
        for path, text in texts().items()
        if path not in GENERATED
        for match in OF_ONE_MACHINE.finditer(text)
    ]
    assert found == []


def test_packages_come_from_no_private_registry():
    """The lock names PyPI's own hosts, so that a stranger's machine finds what is locked."""
    lock = (ROOT / "uv.lock").read_text("utf-8")
    hosts = set(re.findall(r"https?://([^/\"]+)", lock))
    assert hosts <= {"pypi.org", "files.pythonhosted.org"}


def test_bare_excepts_do_not_hide_what_happened():
    """`except Exception: pass` is how a pipeline loses data silently."""
    silent = [
        f"{module.path}:{node.lineno}"
        for module in modules(*PRODUCT)
        for node in module.nodes
        if isinstance(node, ast.ExceptHandler)
        and _catches_everything(node)
        and all(isinstance(each, ast.Pass) for each in node.body)
    ]
    assert silent == []


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or getattr(handler.type, "id", "") in ("Exception", "BaseException")
