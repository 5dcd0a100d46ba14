"""The conformance suite as a list of tests, and a run of it in a process of its own."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.features import PROPERTY

PROJECT = Path(__file__).parents[2]
SUITE = PROJECT / "tests" / "conformance"
RUN = 540.0
"""Seconds that a whole run may take."""
FOREIGN = ("CONFORMANCE_", "PYTEST_HYPERV_", "PYTEST_XDIST_", "PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "PYTEST_PLUGINS")
"""Variables of the outer run that the inner one must not see."""


def tests_of(tree: ast.Module) -> Iterator[str]:
    """The names of the test functions of a module, ``Class::name`` for those in a class."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            inner = (each for each in node.body if isinstance(each, ast.FunctionDef))
            yield from (f"{node.name}::{each.name}" for each in inner if each.name.startswith("test_"))


TESTS = [
    f"{path.stem}::{name}" for path in sorted(SUITE.glob("test_*.py")) for name in tests_of(ast.parse(path.read_text()))
]
"""Every test function of the suite, as ``module::[Class::]function``."""


@dataclass(frozen=True)
class Case:
    """One test as it ended: ``outcome`` is passed, skipped, failed or error, ``told`` the reason or the traceback."""

    outcome: str
    told: str
    features: frozenset[int]


@dataclass(frozen=True)
class SuiteRun:
    """What became of each test; those with parameters have several cases. ``said`` is what pytest printed."""

    cases: Mapping[str, Sequence[Case]]
    said: str

    def retell(self, test: str) -> None:
        """End the calling test as this one ended, with its words."""
        cases = self.cases.get(test, ())
        if not cases:
            pytest.fail(f"{test} did not run:\n{self.said[-4000:]}", pytrace=False)
        for case in cases:
            if case.outcome in ("failed", "error"):
                pytest.fail(case.told, pytrace=False)
        skipped = [case.told for case in cases if case.outcome == "skipped"]
        if len(skipped) == len(cases):
            pytest.skip(skipped[0])

    def shown(self, feature: int) -> bool:
        """Whether at least one test of the feature passed."""
        return any(
            case.outcome == "passed" and feature in case.features for each in self.cases.values() for case in each
        )


def run_suite(folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> SuiteRun:
    """Run the suite as anybody would, its report in ``folder``; ``environment`` is added to this one's."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", str(SUITE), "-p", "no:cacheprovider", f"--junit-xml={report}"]
    mine = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    with (folder / "said.txt").open("w+b") as output:
        try:
            subprocess.run(
                [*command, f"--basetemp={folder / 'tmp'}", *arguments],
                cwd=PROJECT,
                env={**mine, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=RUN,
            )
        except subprocess.TimeoutExpired:
            output.write(f"\nthe run was ended after {RUN:g} s\n".encode())
        output.seek(0)
        said = output.read().decode(errors="replace")
    return SuiteRun(_cases(report) if report.exists() else {}, said)


def _cases(report: Path) -> dict[str, list[Case]]:
    cases: defaultdict[str, list[Case]] = defaultdict(list)
    for case in ElementTree.parse(report).iter("testcase"):
        module, _, inside = case.attrib["classname"].removeprefix("tests.conformance.").partition(".")
        function = case.attrib["name"].partition("[")[0]
        cases["::".join(filter(None, (module, inside, function)))].append(_case(case))
    return dict(cases)


def _case(case: ElementTree.Element) -> Case:
    features = frozenset(int(each.attrib["value"]) for each in case.iter("property") if each.get("name") == PROPERTY)
    for tag, outcome in (("error", "error"), ("failure", "failed"), ("skipped", "skipped")):
        found = case.find(tag)
        if found is not None:
            message = found.get("message") or ""
            return Case(outcome, message if outcome == "skipped" else found.text or message, features)
    return Case("passed", "", features)
