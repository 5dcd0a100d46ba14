"""A worker of pytest-xdist that dies: its machine, processes and room are free while the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("xdist", reason="pytest-xdist is not installed")
SUITE = """
import os, time
from pathlib import Path
from pytest_hyperv.identity import processes_marked
from pytest_hyperv.lab import lab_of
from pytest_hyperv.ledger import TOKEN, Ledger

HERE = Path(__file__).parent

def until(true):
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end

def test_dies(hyperv_vm, pytestconfig):
    (record,) = Ledger(lab_of(pytestconfig).cache / "machines").records()
    assert processes_marked(TOKEN, record.token)
    (HERE / "new").write_text(record.token)
    (HERE / "new").rename(HERE / "token")
    until(lab_of(pytestconfig).pool("qemu").backend.leases.waiting)
    os._exit(3)

def test_lives(hyperv_vm_factory):
    until((HERE / "token").exists)
    (vm,) = hyperv_vm_factory()
    until(lambda: not processes_marked(TOKEN, (HERE / "token").read_text()))
    assert vm.run(["true"])
"""


def test_another_worker_gets_the_room_of_one_that_died(
    pytester: pytest.Pytester, own_cache: Path, left_over: Callable[[], list[Path]]
) -> None:
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess(
        f"--hyperv-cache={own_cache}", "-n2", "--hyperv-budget=vms=1", "--hyperv-spares=0", "-rA"
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["PASSED *::test_lives"])
    assert left_over() == []
