"""Spares, damaged states and failing machines, as a run of tests meets them."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Bed
from tests.plugin.fake_backend import SPEC, Script

THREE = """
    @pytest.mark.parametrize("n", range(3))
    def test_it(hyperv_vm, n):
        assert hyperv_vm.state == "running"
        assert hyperv_vm.sh("ls").stdout == ""
        hyperv_vm.write_text("used", "")
"""
SETTLED = """
    @pytest.fixture(autouse=True)
    def settled(request):
        yield
        from pytest_hyperv.lab import lab_of
        lab_of(request.config).pool("qemu").settle()
"""


def test_a_spare_is_made_for_every_test_to_come_and_no_more(bed: Bed) -> None:
    bed.suite(SETTLED, "conftest.py")
    bed.suite(THREE)
    result = bed.run()
    result.assert_outcomes(passed=3)
    assert [event["purpose"] for event in bed.events("clone")] == ["test_it.py::test_it[0]", "spare", "spare"]
    assert len(bed.events("warm")) == len(bed.events("resume")) == 2
    result.stdout.fnmatch_lines(
        ["hyperv: qemu (fake, no acceleration): 3 machines of debian-12, * 2 from a warm spare*"]
    )
    assert bed.left() == []


def test_no_spares_are_made_when_none_are_wanted_or_when_machines_are_shared(bed: Bed) -> None:
    bed.suite(THREE)
    bed.run("--hyperv-spares=0").assert_outcomes(passed=3)
    bed.suite("pytestmark = hyperv(reset='module')\n\ndef test_a(hyperv_vm): pass\n\ndef test_b(hyperv_vm): pass")
    bed.run().assert_outcomes(passed=2)
    assert "spare" not in [event["purpose"] for event in bed.events("clone")]


@pytest.mark.parametrize("operation", ["warm", "resume"])
def test_a_spare_that_fails_is_thrown_away_and_its_test_gets_a_fresh_machine(bed: Bed, operation: str) -> None:
    bed.script(Script(faults={operation: {"1": "MachineError"}}))
    bed.suite(SETTLED, "conftest.py")
    bed.suite(THREE)
    bed.run().assert_outcomes(passed=3)
    assert [event["failed"] for event in bed.events(operation)] == ["MachineError", None]
    assert bed.lent() == ["test_it.py::test_it[0]", "test_it.py::test_it[1]"]
    assert bed.left() == []


def test_a_spare_that_cannot_be_made_is_told_by_the_lease_that_needs_it(bed: Bed) -> None:
    faults = {"2": "HostError", "3": "HostError", "4": "HostError", "5": "HostError"}
    bed.script(Script(faults={"clone": faults}))
    bed.suite(SETTLED, "conftest.py")
    bed.suite(THREE)
    result = bed.run()
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["HostError: the script has clone fail", "Hint: change the script."])
    assert bed.left() == []


def test_a_machine_that_cannot_be_made_is_one_paragraph_and_the_next_test_runs(bed: Bed) -> None:
    bed.script(Script(faults={"clone": {"1": "HostError"}}))
    bed.suite(THREE)
    result = bed.run("--hyperv-spares=0")
    result.assert_outcomes(passed=2, errors=1)
    output = result.stdout.str()
    (paragraph,) = [part for part in output.split("\n_") if part.lstrip("_ ").startswith("ERROR at setup")]
    lines = [line for line in paragraph.splitlines()[1:] if line]
    assert lines[:2] == ["HostError: the script has clone fail", "Hint: change the script."]
    assert lines[2].startswith("=====")
    assert "FAILED" not in output


def test_a_damaged_state_is_rebuilt_once_and_only_once(bed: Bed) -> None:
    bed.suite(THREE)
    bed.run("--hyperv-spares=0").assert_outcomes(passed=3)
    (state,) = [path for path in (bed.cache / "states").iterdir() if path.is_dir()]
    (state / SPEC).write_text("{")
    result = bed.run("--hyperv-spares=0")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*3 machines*1 state built"])
    assert len(bed.events("build")) == 2

    bed.script(Script(faults={"clone": {"1": "StateError", "2": "StateError"}}))
    result = bed.run("--hyperv-spares=0")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["StateError: the script has clone fail"])
    assert len(bed.events("build")) == 3


def test_a_state_is_kept_for_the_next_run(bed: Bed) -> None:
    bed.suite(THREE)
    bed.run().stdout.fnmatch_lines(["*3 machines*, 1 state built"])
    result = bed.run()
    result.stdout.fnmatch_lines(["*3 machines*"])
    assert "built" not in result.stdout.str()
    assert len(bed.events("build")) == 1


def test_a_state_that_cannot_be_built_leaves_nothing_and_is_tried_again(bed: Bed) -> None:
    bed.script(Script(faults={"build": {"1": "BootTimeout"}}))
    bed.suite(THREE)
    result = bed.run("--hyperv-spares=0")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["BootTimeout: the script has build fail"])
    assert len([path for path in (bed.cache / "states").iterdir() if path.is_dir()]) == 1


def test_a_machine_that_could_not_be_ended_at_once_is_ended_at_the_end_of_the_run(bed: Bed) -> None:
    bed.script(Script(faults={"discard": {"2": "HostError"}}))
    bed.suite(THREE)
    result = bed.run("--hyperv-spares=0")
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.OK
    assert bed.left() == []


def test_a_machine_that_cannot_be_ended_fails_the_run_and_says_so(bed: Bed) -> None:
    bed.script(Script(faults={"discard": {"2": "HostError", "4": "HostError"}}))
    bed.suite(THREE)
    result = bed.run("--hyperv-spares=0")
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["hyperv: ERROR at the end of the run: HostError: the script has discard fail", "Hint: change the script."]
    )
    result.stdout.fnmatch_lines(["hyperv: qemu*3 machines of debian-12*"])
    assert len(bed.left()) == 1
