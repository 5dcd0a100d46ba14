"""Real machines of tests that failed, or that a debugger has stopped: what they are when somebody enters them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_hyperv.backends.base import MachineState
from pytest_hyperv.identity import processes_marked
from pytest_hyperv.ledger import TOKEN, Ledger
from pytest_hyperv.visits import attached
from tests.vm.terminal import terminal

LIMIT = 240.0
SUITE = """
def test_it(hyperv_vm):
    hyperv_vm.write_text("/root/mark", "left by the test")
    assert not hyperv_vm.run(["true"])
"""


def enter(cache: Path, name: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """A command in a machine, from a process of its own."""
    command = ["pytest-hyperv", "exec", "--cache", str(cache), name, *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)


def test_the_machine_of_a_failed_test_is_paused_as_it_was_left_until_somebody_enters(
    pytester: pytest.Pytester, own_cache: Path
) -> None:
    ledger = Ledger(own_cache / "machines")
    pytester.makepyfile(SUITE)
    try:
        run = pytester.runpytest_subprocess("--hyperv-keep=failed", f"--hyperv-cache={own_cache}", "--hyperv-spares=0")
        run.assert_outcomes(failed=1)
        (record,) = ledger.records()
        run.stdout.fnmatch_lines(
            [f"hyperv: kept {record.name} *: pytest-hyperv shell --cache {own_cache} {record.name}"]
        )
        for _ in range(2):
            with attached(ledger, own_cache, record) as machine:
                assert machine.state is MachineState.PAUSED
            assert enter(own_cache, record.name, "cat", "/root/mark").stdout == "left by the test"
    finally:
        ledger.reap(also=lambda record: True)  # noqa: ARG005
    assert processes_marked(TOKEN, record.token) == []


def test_a_machine_is_entered_while_a_debugger_has_stopped_its_test(pytester: pytest.Pytester, own_cache: Path) -> None:
    pytester.makepyfile(SUITE)
    argv = [sys.executable, "-m", "pytest", "--pdb", "-p", "no:cacheprovider", f"--hyperv-cache={own_cache}"]
    with terminal([*argv, "--hyperv-spares=0"], pytester.path) as person:
        name = person.expect(r"to enter (hyperv-\w+) meanwhile").group(1)
        person.expect(r"\(Pdb\) ")
        beside = enter(own_cache, name, "cat", "/root/mark")
        assert (beside.stdout, beside.stderr) == ("left by the test", "")
        person.type("hyperv_vm.read_text('/root/mark').upper()\r")
        person.expect("LEFT BY THE TEST")
        person.type("q\r")
        person.process.wait(LIMIT)
    assert Ledger(own_cache / "machines").records() == []
