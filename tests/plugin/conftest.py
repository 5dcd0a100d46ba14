"""Suites run by pytester on machines of the fake backend, each with a cache folder of its own."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import pytest_hyperv.lending  # noqa: F401 - what is loaded now is not loaded again by every run in this process
from pytest_hyperv.images import DiskFacts, ImageStore
from pytest_hyperv.ledger import Ledger
from pytest_hyperv.progress import Silent
from pytest_hyperv.spec import MIB
from tests.plugin.fake_backend import JOURNAL, SCRIPT, Script

ROOT = Path(__file__).parents[2]
PLUGINS = ("-p", "tests.plugin.fake_backend", "-p", "no:hypothesispytest")
"""Hypothesis is imported whole, in every run, for its part of the summary."""


class Bed:
    """Runs a small suite in a process of this machine and reads what the fake backend did for it."""

    def __init__(self, pytester: pytest.Pytester, cache: Path) -> None:
        self._pytester, self.cache = pytester, cache
        self.path = pytester.path

    def script(self, script: Script) -> None:
        """Have the backend behave so in the runs to come."""
        (self.cache / SCRIPT).write_text(json.dumps(asdict(script)))

    def suite(self, text: str, name: str = "test_it.py") -> None:
        """Write a module of tests; ``pytest`` and ``hyperv`` (the marker) are there already."""
        path = self._pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = text.strip("\n").splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        body = "\n".join(line[indent:] for line in lines)
        path.write_text(f"import pytest\nhyperv = pytest.mark.hyperv\n\n{body}\n")

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run the suite in this process."""
        return self._pytester.runpytest_inprocess(*PLUGINS, "-rA", *arguments)

    def run_apart(self, *arguments: str) -> pytest.RunResult:
        """Run the suite in a process of its own."""
        return self._pytester.runpytest_subprocess(*PLUGINS, "-rA", *arguments)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """What the backend did, in order; of these kinds when any are named."""
        path = self.cache / JOURNAL
        told = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        return [event for event in told if not kinds or event["event"] in kinds]

    def lent(self) -> list[str]:
        """For whom machines were cloned, in order; the spares are not among them."""
        return [event["purpose"] for event in self.events("clone") if event["purpose"] != "spare"]

    def left(self) -> list[str]:
        """Whom the machines that still exist are for."""
        return [record.purpose for record in Ledger(self.cache / "machines").records()]


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Golden images with real, tiny disks: debian-12, other, and windows with PowerShell."""
    root = tmp_path_factory.mktemp("golden") / "images"
    disk = tmp_path_factory.mktemp("disks") / "disk.raw"
    disk.write_bytes(bytes(510) + b"\x55\xaa" + bytes(MIB - 512))
    linux, windows = DiskFacts("linux", "agent"), DiskFacts("windows", "psdirect", powershell=True)
    for name, facts in (("debian-12", linux), ("other", linux), ("windows", windows)):
        ImageStore(root).import_disk(name, disk, facts, Silent())
    return root


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs inside these tests see no setting of the run they are part of."""
    for name in list(os.environ):
        if name.startswith(("PYTEST_HYPERV_", "PYTEST_XDIST_", "PYTEST_ADDOPTS", "PYTEST_PLUGINS")):
            monkeypatch.delenv(name)
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))


@pytest.fixture
def bed(
    pytester: pytest.Pytester, images: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Bed:
    """Where a suite runs on fake machines."""
    cache = tmp_path_factory.mktemp("cache")
    (cache / "images").symlink_to(images, target_is_directory=True)
    monkeypatch.setenv("PYTEST_HYPERV_CACHE", str(cache))
    return Bed(pytester, cache)
