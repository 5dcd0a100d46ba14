"""Which machines outlive their tests, and what a run says of them."""

from __future__ import annotations

import sys
import time

import pytest

from pytest_hyperv.ledger import Ledger
from tests.plugin.conftest import PLUGINS, Bed

SUITE = """
def test_passes(hyperv_vm): pass

def test_fails(hyperv_vm):
    assert False

def test_asks(hyperv_vm):
    hyperv_vm.keep("to look at it")
"""


def kept(bed: Bed) -> list[str]:
    """Why machines were kept, oldest first."""
    return [record.kept.rpartition("::")[2] for record in Ledger(bed.cache / "machines").records() if record.kept]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ((), ["to look at it"]),
        (("--hyperv-keep=failed",), ["test_fails failed", "to look at it"]),
        (("--hyperv-keep=all",), ["test_passes passed", "test_fails failed", "to look at it"]),
    ],
)
def test_machines_are_kept_of_tests_that_fail_of_all_or_as_the_test_says(
    bed: Bed, said: tuple[str, ...], why: list[str]
) -> None:
    bed.suite(SUITE)
    bed.run(*said).assert_outcomes(passed=2, failed=1)
    assert sorted(kept(bed)) == sorted(why)
    assert [event["purpose"] for event in bed.events("keep")] == ["paused"] * len(why)


def test_what_enters_a_machine_is_in_the_report_of_its_test_and_in_the_end(bed: Bed) -> None:
    bed.suite(SUITE)
    run = bed.run("--hyperv-keep=failed", "--hyperv-keep-for=90m", f"--hyperv-cache={bed.cache}")
    (name,) = (event["machine"] for event in bed.events("keep")[:1])
    run.stdout.fnmatch_lines(
        [
            f"to enter it: pytest-hyperv shell*{name}",
            f"hyperv: kept {name} for 90 min (test_it.py::test_fails failed): pytest-hyperv shell*{name}",
        ]
    )
    (record,) = [each for each in Ledger(bed.cache / "machines").records() if each.kept.endswith("failed")]
    assert abs(record.kept_until - time.time() - 90 * 60) < 60


def test_a_machine_whose_setup_went_wrong_elsewhere_is_kept(bed: Bed) -> None:
    bed.suite(
        """
        @pytest.fixture
        def site(hyperv_vm): raise RuntimeError("no site")

        def test_it(site): pass
        """
    )
    bed.run("--hyperv-keep=failed").assert_outcomes(errors=1)
    assert kept(bed) == ["test_it failed"]


def test_a_shared_machine_is_kept_when_the_last_of_its_tests_is_over(bed: Bed) -> None:
    bed.suite(
        """
        @hyperv(reset="module")
        def test_fails(hyperv_vm): assert False

        @hyperv(reset="module")
        def test_goes_on(hyperv_vm): hyperv_vm.run(["true"]).check()
        """
    )
    bed.run("--hyperv-keep=failed").assert_outcomes(passed=1, failed=1)
    assert kept(bed) == ["test_fails failed"]
    assert len(bed.events("clone")) == 1


def test_tests_come_before_machines_that_are_kept(bed: Bed) -> None:
    bed.suite("def test_fails(hyperv_vm): assert False\ndef test_too(hyperv_vm): assert False\n")
    run = bed.run("--hyperv-keep=failed", "--hyperv-spares=0", "--hyperv-budget=vms=1")
    run.assert_outcomes(failed=2)
    run.stdout.fnmatch_lines(["hyperv: * is not kept (test_it.py::test_fails failed): it would take the room*"])
    assert kept(bed) == []


def test_the_next_run_removes_those_whose_time_is_over(bed: Bed) -> None:
    bed.suite("def test_fails(hyperv_vm): assert False")
    bed.run_apart("--hyperv-keep=failed", "--hyperv-keep-for=0.001s").assert_outcomes(failed=1)
    assert len(kept(bed)) == 1
    bed.run_apart().assert_outcomes(failed=1)
    assert kept(bed) == []


def test_it_is_told_by_the_workers_of_xdist_too(bed: Bed) -> None:
    pytest.importorskip("xdist")
    bed.suite("def test_fails(hyperv_vm): assert False")
    run = bed.run_apart("-n1", "--hyperv-keep=failed")
    run.stdout.fnmatch_lines(["to enter it: pytest-hyperv shell*", "hyperv: kept * (test_it.py::test_fails failed): *"])


def test_a_debugger_says_how_to_enter_the_machine_that_still_lives(bed: Bed, pytester: pytest.Pytester) -> None:
    bed.suite("def test_fails(hyperv_vm): assert False")
    run = pytester.run(sys.executable, "-m", "pytest", *PLUGINS, "--pdb", stdin=b"q\n")
    (name,) = (event["machine"] for event in bed.events("let_in"))
    run.stdout.fnmatch_lines([f"hyperv: to enter {name} meanwhile: pytest-hyperv shell*{name}", "*(Pdb)*"])
    assert [event["event"] for event in bed.events("let_in", "discard")] == ["let_in", "discard"]
