"""The operator's command line: help everywhere, nothing imported before it is needed, bad input said in a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from contracts.usage_reported import Report, UsageReported, encode
from territoriale.catalogue import REFERENCE
from territoriale.cli import COMMANDS, main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command):
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output


def test_help_imports_no_service():
    code = "import sys, territoriale.cli; assert not [m for m in sys.modules if m.startswith(('services.', 'fastapi', 'numpy'))]"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_decode_names_cells_and_faults():
    message = UsageReported("a", "0860001J", 1, [Report("software", "day", "2026-11-20", [3353, 9], [2, 1])])
    result = CliRunner().invoke(main, ["decode"], input=encode(message) + b"\n{\n")
    assert result.exit_code == 2
    assert "software/connections enseignant software direct" in result.output
    assert "cells_not_ascending" in result.output
    assert "message 2: malformed" in result.output


def test_catalogue_lists_cells_and_tables():
    cells = CliRunner().invoke(main, ["catalogue", "cells", "--family", "software", "--json"])
    assert [cell["code"] for cell in json.loads(cells.output)] == [3353, 3417, 4568]
    unknown = CliRunner().invoke(main, ["catalogue", "tables", "nowhere"])
    assert unknown.exit_code == 2
    assert "connexions.authentifiees" in unknown.output


def test_the_reference_is_what_the_catalogue_says_today(tmp_path):
    written = tmp_path / "reference.md"
    result = CliRunner().invoke(main, ["catalogue", "--reference", str(written)])
    assert result.exit_code == 0, result.output
    stored = (ROOT / REFERENCE).read_text("utf-8")
    assert written.read_text("utf-8") == stored, "stale: run territoriale catalogue --reference"


def test_catalogue_alone_says_what_it_can_do():
    result = CliRunner().invoke(main, ["catalogue"])
    assert result.exit_code == 0
    assert "--reference" in result.output
