"""The line at the end: what was made and where, from every worker, once."""

from __future__ import annotations

import importlib.util

import pytest

from tests.plugin.conftest import Bed
from tests.plugin.fake_backend import Script

needs_xdist = pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
EIGHT = """
    @pytest.mark.parametrize("n", range(4))
    @pytest.mark.parametrize("image", [pytest.param(0, marks=hyperv(image="other")), 1])
    def test_it(hyperv_vm, n, image): pass
"""


def summary(result: pytest.RunResult) -> list[str]:
    """The plugin's lines, but for the header."""
    return [line for line in result.outlines if line.startswith("hyperv: ") and "cache=" not in line]


def test_nothing_is_said_when_no_machine_was_made(bed: Bed) -> None:
    bed.suite("def test_it(hyperv_host): pass\n\n@pytest.mark.hyperv_requires('tpm')\ndef test_b(): pass")
    result = bed.run()
    result.assert_outcomes(passed=2)
    assert summary(result) == []


def test_one_machine_is_told_in_the_singular(bed: Bed) -> None:
    bed.suite("def test_it(hyperv_vm): pass")
    (line,) = summary(bed.run())
    assert line.startswith("hyperv: qemu (fake, no acceleration): 1 machine of debian-12, ")
    assert line.endswith(" each), 0 from a warm spare, 1 state built")


def test_a_session_that_was_opened_anew_is_warned_of_and_told_at_the_end(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_REOPENED", "it was silent")
    bed.suite("@pytest.mark.parametrize('n', range(2))\ndef test_it(hyperv_vm, n): pass")
    result = bed.run("--hyperv-spares=0")
    result.assert_outcomes(passed=2, warnings=2)
    told = "a session of state debian-12 did not answer, reopened: it was silent"
    assert summary(result)[1:] == [f"hyperv: WARNING: 2 times: {told}"]
    result.stdout.fnmatch_lines([f"*PytestWarning: {told}"])


@needs_xdist
def test_the_figures_of_all_workers_are_added_up_and_told_once(bed: Bed) -> None:
    bed.suite(EIGHT)
    result = bed.run("-n2", "--hyperv-spares=0")
    result.assert_outcomes(passed=8)
    (line,) = summary(result)
    assert line.startswith("hyperv: qemu (fake, no acceleration): 8 machines of debian-12, other, ")
    assert line.endswith(", 2 states built")
    assert len({event["pid"] for event in bed.events("clone")}) == 2
    assert len(bed.events("build")) == 2


@needs_xdist
def test_a_machine_that_a_worker_cannot_end_fails_the_run(bed: Bed) -> None:
    bed.script(Script(faults={"discard": {str(call): "HostError" for call in range(1, 99)}}))
    bed.suite(EIGHT)
    result = bed.run("-n2")
    result.assert_outcomes(passed=8)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    failures = [line for line in summary(result) if "ERROR" in line]
    assert set(failures) == {"hyperv: ERROR at the end of the run: HostError: the script has discard fail"}


def test_the_line_is_there_without_a_header_and_when_quiet(bed: Bed) -> None:
    bed.suite(EIGHT)
    assert len(summary(bed.run("--no-header"))) == 1
    assert len(summary(bed.run("-q"))) == 1
