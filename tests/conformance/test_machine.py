"""Machines: made from a golden image, each test's own, as many as a test wants."""

from __future__ import annotations

import uuid
from typing import ClassVar

import pytest

from pytest_hyperv import MachineFactory, MachineState, VirtualMachine
from tests.conformance.expectations import is_in
from tests.conformance.guests import guest_of

pytestmark = pytest.mark.feature(1)


def leave_a_mark(vm: VirtualMachine) -> None:
    """Fail when another test has been here, and see to it that the next one would."""
    guest = guest_of(vm)
    mark = guest.path("mark")
    assert not vm.run(guest.exists(mark)), "this machine was used before"
    vm.write_text(mark, "somebody was here")
    assert vm.run(guest.exists(mark))


def test_a_machine_runs_booted_by_uefi_and_knows_itself(hyperv_vm: VirtualMachine) -> None:
    assert is_in(hyperv_vm, MachineState.RUNNING)
    assert guest_of(hyperv_vm).booted_by_uefi(hyperv_vm)
    assert hyperv_vm.spec.generation == 2
    assert hyperv_vm.name
    assert uuid.UUID(hyperv_vm.id)
    assert hyperv_vm.image.digest.startswith("sha256:")
    assert not hyperv_vm.crashed
    assert hyperv_vm.crash is None


def test_a_machine_has_the_memory_and_the_processors_it_was_given(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    assert guest.processors(hyperv_vm) == hyperv_vm.spec.cpus
    seen = guest.memory(hyperv_vm)
    assert 0.7 * hyperv_vm.spec.memory < seen <= hyperv_vm.spec.memory


@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_test_gets_a_clean_machine(hyperv_vm: VirtualMachine, turn: str) -> None:  # noqa: ARG001
    leave_a_mark(hyperv_vm)


@pytest.mark.hyperv(reset="class")
class TestSharedMachine:
    ids: ClassVar[list[str]] = []

    def test_is_made_for_the_first_test(self, hyperv_vm: VirtualMachine) -> None:
        leave_a_mark(hyperv_vm)
        self.ids.append(hyperv_vm.id)

    def test_is_the_same_for_the_next(self, hyperv_vm: VirtualMachine) -> None:
        guest = guest_of(hyperv_vm)
        assert self.ids == [hyperv_vm.id]
        assert hyperv_vm.run(guest.exists(guest.path("mark")))


def test_two_machines_of_one_test_are_apart(hyperv_vm_factory: MachineFactory) -> None:
    one, other = hyperv_vm_factory(2)
    assert one.id != other.id
    assert one.name != other.name
    leave_a_mark(one)
    leave_a_mark(other)
    one.kill()
    assert is_in(one, MachineState.OFF)
    assert other.run(guest_of(other).fine)
