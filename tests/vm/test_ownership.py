"""A run that is killed leaves nothing that the next one, or ``pytest-hyperv gc``, does not remove."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from pytest_hyperv.identity import processes_marked
from pytest_hyperv.ledger import TOKEN, Ledger, Record

LeftOver = Callable[[], list[Path]]
A_LONG_TEST = """
import pytest

@pytest.mark.parametrize("n", range(3))
def test_it(hyperv_vm, n):
    open("running", "w").close()
    hyperv_vm.run(["sleep", "300"], timeout=400)
"""


def wait_until(true: Callable[[], object]) -> None:
    """Look again and again until something holds; fails after a minute."""
    Retrying(retry=retry_if_result(lambda seen: not seen), stop=stop_after_delay(60), wait=wait_fixed(0.05))(true)


@contextmanager
def killed_run(
    pytester: pytest.Pytester, cache: Path, source: str = A_LONG_TEST, *arguments: str, processes: int = 2
) -> Iterator[list[Record]]:
    """A run that was killed with -9 while its test ran and a spare was made; gives what it had written down.

    ``processes`` is how many its machines have then.
    """
    pytester.makepyfile(source)
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", f"--hyperv-cache={cache}", "-p", "no:cacheprovider", *arguments],
        cwd=pytester.path,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    ledger = Ledger(cache / "machines")
    try:
        try:
            wait_until(lambda: (pytester.path / "running").exists() and len(alive(ledger.records())) >= processes)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(30)
        yield ledger.records()
    finally:
        ledger.reap()


def alive(records: list[Record]) -> list[int]:
    """The processes that belong to machines."""
    return [process.pid for record in records for process in processes_marked(TOKEN, record.token)]


def test_gc_removes_what_a_killed_run_left(pytester: pytest.Pytester, own_cache: Path, left_over: LeftOver) -> None:
    with killed_run(pytester, own_cache) as records:
        assert len(alive(records)) >= 2, "the machines died with their owner, so this test shows nothing"
        listed = pytester.run("pytest-hyperv", "vms", "--cache", str(own_cache))
        listed.stdout.fnmatch_lines([f"*{records[0].name}*test_it*dead: run `pytest-hyperv gc`*"])
        removed = pytester.run("pytest-hyperv", "gc", "--cache", str(own_cache))
        removed.stdout.fnmatch_lines_random([f"removed {record.name}*" for record in records])
        assert removed.ret == 0
        assert alive(records) == []
        assert left_over() == []
        pytester.run("pytest-hyperv", "vms", "--cache", str(own_cache)).stdout.fnmatch_lines(["No machine lives."])


def test_the_next_run_removes_what_a_killed_run_left(
    pytester: pytest.Pytester, own_cache: Path, left_over: LeftOver
) -> None:
    with killed_run(pytester, own_cache) as records:
        pytester.makepyfile("def test_it(hyperv_vm): hyperv_vm.run(['true']).check()")
        result = pytester.runpytest_subprocess(f"--hyperv-cache={own_cache}", "-p", "no:cacheprovider")
        result.assert_outcomes(passed=1)
        assert alive(records) == []
        assert left_over() == []


def test_workers_whose_controller_was_killed_end_and_leave_nothing(
    pytester: pytest.Pytester, own_cache: Path, left_over: LeftOver
) -> None:
    pytest.importorskip("xdist")
    with killed_run(pytester, own_cache, A_LONG_TEST, "-n2") as records:
        wait_until(lambda: not any(record.owner.alive() for record in records))
        pytester.run("pytest-hyperv", "gc", "--cache", str(own_cache))
        assert alive(records) == []
        assert left_over() == []


@pytest.mark.hyperv(tpm=True, secure_boot=True)
def test_a_machine_with_a_tpm_takes_its_swtpm_along(
    pytester: pytest.Pytester, own_cache: Path, left_over: LeftOver
) -> None:
    source = A_LONG_TEST.replace(
        "@pytest.mark.par", "@pytest.mark.hyperv(tpm=True, secure_boot=True)\n@pytest.mark.par"
    )
    with killed_run(pytester, own_cache, source) as records:
        pytester.run("pytest-hyperv", "gc", "--cache", str(own_cache))
        assert alive(records) == []
        assert left_over() == []


def test_gc_leaves_the_machines_of_a_living_run_alone(
    hyperv_vm: object, pytester: pytest.Pytester, request: pytest.FixtureRequest
) -> None:
    from pytest_hyperv import VirtualMachine
    from pytest_hyperv.lab import lab_of

    assert isinstance(hyperv_vm, VirtualMachine)
    removed = pytester.run("pytest-hyperv", "gc", "--cache", str(lab_of(request.config).cache))
    assert removed.ret == 0
    assert hyperv_vm.name not in removed.stdout.str()
    assert hyperv_vm.run(["true"])
