"""The page about PowerShell: its code is code, and its command prints what it says."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys

import pytest

from tests.psrp.roads import PROJECT

PAGE = (PROJECT / "docs" / "powershell.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_the_examples_use_names_that_exist(block: str) -> None:
    imported = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)]
    assert imported
    for node in imported:
        module = importlib.import_module(node.module or "")
        assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.mark.parametrize("block", blocks("console"))
def test_the_command_prints_what_the_page_says(block: str) -> None:
    command, *said = block.strip().splitlines()
    argv = command.removeprefix("$ python ").split()
    done = subprocess.run([sys.executable, *argv], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == said


def test_the_page_has_examples_of_both_kinds() -> None:
    assert blocks("python")
    assert blocks("console")
