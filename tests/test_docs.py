"""The documentation is true: its tests run on real machines, links lead somewhere, the reference leaves nothing out.

A block of Python that holds tests is run; one that holds none, or begins with ```python no-run, is compiled.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

import pytest_hyperv
from pytest_hyperv import CommandResult, PowerShell, PowerShellResult, VirtualMachine, errors, hyperv_state
from pytest_hyperv.capabilities import NAMES
from pytest_hyperv.cli import COMMANDS
from pytest_hyperv.cli.states import command as states
from pytest_hyperv.errors import HypervError
from pytest_hyperv.markers import MINIMUMS, SPEC_ARGUMENTS, WISH_ARGUMENTS
from pytest_hyperv.options import MARKERS, OPTIONS
from pytest_hyperv.plugin import __all__ as fixtures
from pytest_hyperv.states.record import StateRecord

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python(?P<tag>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
RUN = 300.0
"""Seconds the tests of all pages may take together when states have to be built first."""


@dataclass(frozen=True)
class Block:
    """A piece of Python on a page."""

    page: Path
    line: int
    tag: str
    code: str

    @property
    def name(self) -> str:
        """The name of the module it becomes."""
        path = "_".join(self.page.relative_to(ROOT).with_suffix("").parts)
        return f"test_{path}_{self.line}".replace("-", "_").lower()

    @property
    def tests(self) -> set[str]:
        """The names of its tests, those of its classes included."""
        return set(re.findall(r"^(?: {4})?def (test_\w+)", self.code, re.MULTILINE))


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in BLOCK.finditer(text):
        yield Block(page, text.count("\n", 0, found.start()) + 1, found["tag"].strip(), found["code"])


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
RUNNING = [block for block in BLOCKS if block.tests and block.tag != "no-run"]
SHOWN = [block for block in BLOCKS if block not in RUNNING]


def name_of(block: Block) -> str:
    return f"{block.page.relative_to(ROOT)}:{block.line}"


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What became of each test of each block, by the block's module; all blocks in one run of pytest."""
    folder = tmp_path_factory.mktemp("docs")
    for block in RUNNING:
        (folder / f"{block.name}.py").write_text(block.code)
    options = ["-p", "no:cacheprovider", "-o", "addopts=", "--continue-on-collection-errors", "--junit-xml=report.xml"]
    subprocess.run([sys.executable, "-m", "pytest", *options], cwd=folder, capture_output=True, timeout=RUN)
    told: dict[str, dict[str, str]] = {block.name: {} for block in RUNNING}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        faults = (part for part in case if part.tag in ("failure", "error", "skipped"))
        fault = next((f"{part.tag}: {part.text or part.get('message')}" for part in faults), "passed")
        module = f"{case.get('classname') or case.get('name')}".split(".")[0]
        told[module][case.get("name", "")] = fault
    return told


@pytest.mark.parametrize("block", RUNNING, ids=name_of)
def test_a_block_runs_as_it_stands(block: Block, outcomes: dict[str, dict[str, str]]) -> None:
    told = outcomes[block.name]
    wrong = [f"{name}: {outcome}" for name, outcome in told.items() if outcome != "passed"]
    assert not wrong, "\n".join(wrong)
    assert set(told) == block.tests


@pytest.mark.parametrize("block", SHOWN, ids=name_of)
def test_a_block_that_is_only_shown_compiles(block: Block) -> None:
    assert block.tag in ("", "no-run")
    compile(block.code, name_of(block), "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_of_the_project(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def public(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")} | set(getattr(kind, "__annotations__", ()))


def test_the_reference_leaves_nothing_out() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, HypervError)]
    names = {
        *MARKERS,
        *(f"{name}=" for name in (*SPEC_ARGUMENTS, *WISH_ARGUMENTS, *MINIMUMS)),
        *NAMES,
        *fixtures,
        *(word for option in OPTIONS for word in (option.flag_name, option.variable, option.key)),
        *(f"pytest-hyperv {command}" for command in COMMANDS),
        *(f"pytest-hyperv states {command}" for command in states.commands),
        *(f"{name}=" for name in inspect.signature(hyperv_state).parameters),
        *(field.name for field in fields(StateRecord)),
        *public(VirtualMachine) - {"require_powershell", "inner"},
        *public(CommandResult),
        *public(PowerShell),
        *public(PowerShellResult) - {"title"},
        *pytest_hyperv.__all__,
        *(kind.__name__ for kind in kinds),
    }
    assert sorted(name for name in names if not re.search(rf"`[^`\n]*(?<!\w){re.escape(name)}", reference)) == []


def test_the_reference_names_every_default() -> None:
    lines = (ROOT / "docs" / "reference.md").read_text().splitlines()
    for option in OPTIONS:
        (row,) = [line for line in lines if re.match(rf"\| `{option.flag_name}[ `]", line)]
        assert (f"`{option.default}`" if option.default and not option.flag else "|") in row
