"""Room on the host, as runs of tests meet it: waited for, shared with other runs, and told about when there is none."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from pytest_hyperv.lease_file import LeaseFile
from pytest_hyperv.leases import Budget, Lease, Need
from pytest_hyperv.spec import GIB, MIB
from tests.plugin.conftest import PLUGINS, Bed

needs_xdist = pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
PLENTY = Budget(1000 * GIB, 1000, 1000)
THREE = """
    @pytest.mark.parametrize("n", range(3))
    def test_it(hyperv_vm, n):
        hyperv_vm.write_text("used", "")
"""


def at_once(bed: Bed) -> int:
    """How many machines there were at most at the same time."""
    count = most = 0
    for event in bed.events("clone", "discard"):
        count += 1 if event["event"] == "clone" else -1
        most = max(most, count)
    assert count == 0
    return most


@pytest.fixture
def others(bed: Bed) -> Iterator[LeaseFile]:
    """The book in the hands of another run, which is this process; it holds a machine."""
    book = LeaseFile(bed.cache, "qemu")
    assert book.take([Lease("theirs", Need(512 * MIB, 1), "test_of_others.py::test_it")], PLENTY) is None
    yield book
    book.give_back(holding.lease for holding in (*book.held(), *book.waiting()))


def test_tests_wait_for_room_and_no_spare_is_made_where_there_is_none(bed: Bed) -> None:
    bed.suite(THREE)
    bed.run("--hyperv-budget=vms=1").assert_outcomes(passed=3)
    assert at_once(bed) == 1
    assert bed.lent() == [f"test_it.py::test_it[{n}]" for n in range(3)]


def test_a_machine_that_can_never_fit_is_an_error_at_once_in_one_paragraph(bed: Bed) -> None:
    bed.suite("@hyperv(memory='2GiB', cpus=3)\ndef test_it(hyperv_vm): pass\n\ndef test_small(hyperv_vm): pass")
    result = bed.run("--hyperv-budget=memory=1GiB,cpus=8")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "NoRoom: 2048 MiB, 3 CPUs can never fit: the budget of this host is 1024 MiB, 8 CPUs, 8 machines",
            "Hint: ask for less with memory= or cpus= of the marker, or give more with --hyperv-budget.",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_several_machines_that_can_never_be_there_together_are_an_error_before_the_first_is_made(bed: Bed) -> None:
    bed.suite("def test_it(hyperv_vm_factory): hyperv_vm_factory(3)")
    result = bed.run("--hyperv-budget=vms=2")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*NoRoom: 3 machines, 1536 MiB, 3 CPUs can never fit: *, 2 machines"])
    assert bed.events("clone", "build") == []


def test_a_test_that_holds_all_the_room_itself_is_told_at_once(bed: Bed) -> None:
    bed.suite(
        """
        @hyperv(reset="module")
        def test_it(hyperv_vm, hyperv_vm_factory): hyperv_vm_factory(1)

        def test_next(hyperv_vm): pass
        """
    )
    result = bed.run("--hyperv-budget=vms=1", "--hyperv-spares=0")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["*NoRoom: no room for 512 MiB, 1 CPU, held by test_it.py (process *; 512 MiB, 1 CPU): all of it is held *"]
    )
    assert bed.left() == []


def test_a_spare_of_another_kind_is_given_up_for_a_test(bed: Bed) -> None:
    bed.suite(
        """
        from pytest_hyperv.lab import lab_of

        def test_a(hyperv_vm, hyperv_vm_factory, pytestconfig):
            lab_of(pytestconfig).pool("qemu").settle()
            hyperv_vm_factory(1, memory="1GiB")

        def test_b(hyperv_vm): pass
        """
    )
    bed.run("--hyperv-budget=vms=2").assert_outcomes(passed=2)
    spare = next(event["machine"] for event in bed.events("clone") if event["purpose"] == "spare")
    assert bed.events("discard")[0]["machine"] == spare
    assert bed.lent() == ["test_it.py::test_a"] * 2 + ["test_it.py::test_b"]
    assert at_once(bed) == 2


def test_several_machines_hold_no_room_before_there_is_room_for_all(bed: Bed, others: LeaseFile) -> None:
    bed.suite(
        """
        from pytest_hyperv.lab import lab_of

        def test_a(hyperv_vm, hyperv_vm_factory, pytestconfig):
            lab_of(pytestconfig).pool("qemu").settle()
            hyperv_vm_factory(2)

        def test_b(hyperv_vm): pass
        """
    )
    assert len(others.held()) == 1
    result = bed.run_apart("--hyperv-budget=vms=3", "--hyperv-room-timeout=0.5s")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*NoRoom: no room for 2 machines, 1024 MiB, 2 CPUs within 0.5 s, held by *"])
    assert bed.lent() == ["test_it.py::test_a", "test_it.py::test_b"]
    assert bed.events("resume") == []


def test_a_spare_is_given_up_for_another_run_that_waits(bed: Bed, others: LeaseFile) -> None:
    bed.suite(
        """
        from pathlib import Path
        from pytest_hyperv.lab import lab_of

        def test_a(hyperv_vm, pytestconfig):
            lab_of(pytestconfig).pool("qemu").settle()
            print("MACHINE", hyperv_vm.name, flush=True)
            input()

        def test_b(hyperv_vm): pass
        """
    )
    command = [sys.executable, "-m", "pytest", *PLUGINS, "-s", "--hyperv-budget=vms=3"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as run:  # type: ignore[call-overload]
        assert any(line.startswith("MACHINE") for line in iter(run.stdout.readline, ""))
        (spare,) = (holding.lease for holding in others.held() if holding.lease.spare)
        mine = [Lease("mine", Need(512 * MIB, 1), "another test of others")]
        three = Budget(8 * GIB, 8, 3)
        end = time.monotonic() + 60
        while (refusal := others.take(mine, three)) is not None:
            assert run.poll() is None
            assert len(refusal.held) == 3
            assert time.monotonic() < end
        assert spare not in [holding.lease for holding in others.held()]
        said, _ = run.communicate("go on\n", timeout=60)
    assert "2 passed" in said
    assert len(bed.events("discard")) == 3


def test_time_that_is_up_tells_who_holds_the_room(bed: Bed, others: LeaseFile) -> None:
    bed.suite(THREE)
    result = bed.run_apart("--hyperv-budget=vms=1", "--hyperv-room-timeout=0.2s", "-k0")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "NoRoom: no room for 512 MiB, 1 CPU within 0.2 s, held by test_of_others.py::test_it (process *; 512 MiB, "
            "1 CPU); the budget of this host is *, 1 machine",
            "Hint: run fewer workers (-n)*--hyperv-room-timeout*--hyperv-budget.",
        ]
    )
    assert others.waiting() == ()


def test_the_room_of_others_is_used_as_soon_as_they_give_it_back(bed: Bed, others: LeaseFile) -> None:
    bed.suite(THREE)
    command = [sys.executable, "-m", "pytest", *PLUGINS, "--hyperv-budget=vms=1"]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as run:
        end = time.monotonic() + 60
        while not others.waiting():
            assert run.poll() is None
            assert time.monotonic() < end
        assert bed.events("clone") == []
        others.give_back(holding.lease for holding in others.held())
        said, _ = run.communicate(timeout=60)
    assert "3 passed" in said


EMBRACED = """
    import time
    from pathlib import Path
    from pytest_hyperv import admission

    admission.STUCK = {stuck}

    @pytest.mark.parametrize("n", range(2))
    def test_it(hyperv_vm, hyperv_vm_factory, n):
        Path(__file__).with_name(f"holds-{{n}}").touch()
        end = time.monotonic() + 60
        while not Path(__file__).with_name(f"holds-{{1 - n}}").exists():
            assert time.monotonic() < end
        hyperv_vm_factory(1)
"""


@needs_xdist
def test_of_two_tests_that_each_hold_one_and_want_another_one_gives_way(bed: Bed) -> None:
    bed.suite(EMBRACED.format(stuck=1))
    result = bed.run_apart("-n2", "--hyperv-budget=vms=2", "--hyperv-room-timeout=60s", "--hyperv-spares=0")
    assert result.parseoutcomes() == {"passed": 1, "errors": 1}
    result.stdout.fnmatch_lines(
        [
            "*NoRoom: no room for 512 MiB, 1 CPU, held by test_it.py::test_it*: all of them wait for more room*",
            "*Hint: make the machines of a test together*",
        ]
    )
    assert bed.left() == []


@needs_xdist
def test_time_is_up_for_them_when_it_is_shorter(bed: Bed) -> None:
    bed.suite(EMBRACED.format(stuck=60))
    result = bed.run_apart("-n2", "--hyperv-budget=vms=2", "--hyperv-room-timeout=1s", "--hyperv-spares=0")
    outcomes = result.parseoutcomes()
    assert outcomes["errors"] >= 1
    assert outcomes["errors"] + outcomes.get("passed", 0) == 2
    result.stdout.fnmatch_lines(["*NoRoom: no room for 512 MiB, 1 CPU within 1 s, held by test_it.py::test_it*"])
    assert bed.left() == []
