"""The examples that fail on purpose: in the terminal and on the page each failure is told for what it was."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_hyperv.report_page.rendering import data_of

ROOT = Path(__file__).parents[2]
FAILING = ROOT / "examples" / "failing"


def test_they_are_told_apart_in_the_terminal_and_on_the_page(pytester: pytest.Pytester, own_cache: Path) -> None:
    shutil.copytree(FAILING, pytester.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    result = pytester.runpytest_subprocess(
        f"--hyperv-cache={own_cache}", "-p", "no:cacheprovider", "--hyperv-report=report.html"
    )
    result.assert_outcomes(passed=2, failed=3, errors=2, skipped=2)
    result.stdout.fnmatch_lines(
        [
            "*5 machines of debian-12*",
            "hyperv: 2 tests skipped, for this host cannot:",
            "     1 memory: 2048.0 GiB needed*",
            "     1 os: a windows host is needed*",
            "hyperv: the page of this run is report.html",
        ]
    )
    (run,) = data_of(pytester.path / "report.html")
    tests = {test["id"].rpartition("::")[2]: test for test in run["tests"]}
    assert {name: test["kind"] for name, test in tests.items() if "kind" in test} == {
        "test_it_greets_by_name": "assertion",
        "test_it_survives_anything": "crash",
        "test_it_answers_in_time": "timeout",
        "test_the_new_version_greets_too[Ada]": "infrastructure",
        "test_the_new_version_greets_too[Grace]": "infrastructure",
    }
    (story,) = tests["test_it_survives_anything"]["stories"]
    exhibits = {each["kind"]: each for each in story["exhibits"]}
    assert len(exhibits["screenshot"]["picture"]) > 1000
    console = exhibits["console"]
    marked = [console["text"].split("\n")[number] for number in console["marks"]]
    assert any("Kernel panic - not syncing: sysrq triggered crash" in line for line in marked)
    assert "sysrq-trigger" in exhibits["transcript"]["text"]
    assert {state["name"] for state in run["states"]} == {"debian-12", "greeter_installed"}


def test_no_run_from_above_collects_them() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "examples"]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "test_installer.py" in collected
    assert "failing" not in collected
