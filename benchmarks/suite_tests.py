"""A suite of short tests on three saved states, made for a benchmark, run by pytest, and what each test waited for."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

RUN_TIMEOUT = 3600.0
WAITS = "waits.jsonl"
STATES = '''
"""A small tree: two states on one that is on the image."""

from pytest_hyperv import hyperv_state


@hyperv_state(base="debian-12")
def tools(vm):
    vm.write_text("/usr/local/bin/answer", "#!/bin/sh\\necho 42\\n", mode=0o755)


@hyperv_state(base=tools)
def service(vm):
    vm.sh("setsid sleep 99999 > /dev/null 2>&1 < /dev/null & echo $! > /run/service.pid").check()


@hyperv_state(base=tools)
def data(vm):
    vm.sh("mkdir /srv/data; head -c 4M /dev/urandom > /srv/data/blob; sha256sum /srv/data/blob > /srv/sum").check()
'''
TEST = """
import pytest
from suite_states import {state}

pytestmark = pytest.mark.hyperv(state={state})

@pytest.mark.parametrize("number", range({count}))
def test_{state}(hyperv_vm, number):
    assert not hyperv_vm.run(["test", "-e", "/root/dirt"])
    hyperv_vm.write_text("/root/dirt", f"of test {{number}}")
    assert hyperv_vm.read_text("/root/dirt") == f"of test {{number}}"
    hyperv_vm.run(["mkdir", "/root/work"]).check()
    hyperv_vm.run(["cp", "/root/dirt", "/root/work/dirt"]).check()
    assert hyperv_vm.run(["cmp", "/root/dirt", "/root/work/dirt"])
    assert "root" in hyperv_vm.run(["id"]).stdout
    {look}
"""
"""Eight calls into the guest, none of which waits for anything."""
LOOKS = {
    "tools": 'assert hyperv_vm.run(["/usr/local/bin/answer"]).stdout == "42\\n"',
    "service": 'assert hyperv_vm.sh("kill -0 $(cat /run/service.pid)")',
    "data": 'assert hyperv_vm.run(["test", "-s", "/srv/sum"])',
}
CONFTEST = f"""
import json
from pathlib import Path

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Waits())

class Waits:
    def pytest_runtest_logreport(self, report):
        with Path("{WAITS}").open("a") as file:
            file.write(json.dumps([report.nodeid, report.when, report.duration, report.outcome]) + "\\n")
"""


@dataclass(frozen=True)
class SuiteRun:
    """One run of the suite; times in seconds.

    ``waits`` is for each test what it took to get its machine and to give it back, ``bodies`` what it did in between;
    ``wall`` the whole process of pytest, with ``built`` the states that it added to the cache.
    """

    name: str
    wall: float
    waits: list[float]
    bodies: list[float]
    built: int

    @property
    def per_test(self) -> float:
        """Wall time per test."""
        return self.wall / len(self.waits)


def write_suite(folder: Path, tests: int) -> None:
    """Put a suite of that many tests, shared by three states, into ``folder``."""
    (folder / "conftest.py").write_text(CONFTEST, "utf-8")
    (folder / "suite_states.py").write_text(STATES, "utf-8")
    for index, (state, look) in enumerate(LOOKS.items()):
        count = tests // len(LOOKS) + (index < tests % len(LOOKS))
        (folder / f"test_{state}.py").write_text(TEST.format(state=state, count=count, look=look), "utf-8")


def run_suite(folder: Path, cache: Path, name: str, *arguments: str) -> SuiteRun:
    """Run it in a process of its own. Raises RuntimeError with pytest's output when a test is not green."""
    (folder / WAITS).unlink(missing_ok=True)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    environment = os.environ | {"PYTEST_HYPERV_CACHE": str(cache)}
    before, began = _states(cache), time.perf_counter()
    done = subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=RUN_TIMEOUT, check=False
    )
    wall = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} returned {done.returncode}\n{done.stdout}\n{done.stderr}")
    phases = [json.loads(line) for line in (folder / WAITS).read_text("utf-8").splitlines()]
    waits: dict[str, float] = {}
    for test, phase, duration, _ in phases:
        if phase != "call":
            waits[test] = waits.get(test, 0.0) + duration
    bodies = [duration for _, phase, duration, _ in phases if phase == "call"]
    return SuiteRun(name, wall, list(waits.values()), bodies, len(_states(cache) - before))


def _states(cache: Path) -> set[tuple[str, int]]:
    """The states in the cache, each with what tells one build of it from another."""
    found = (cache / "states").glob("*/bundle.json")
    return {(path.parent.name, path.stat().st_mtime_ns) for path in found if path.parent.name.isalnum()}


def percentile(times: list[float], share: float) -> float:
    """The time that ``share`` of all, between 0 and 1, did not exceed."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def median(times: list[float]) -> float:
    """The middle one."""
    return statistics.median(times)
