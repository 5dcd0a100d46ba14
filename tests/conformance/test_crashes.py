"""A guest that dies: told at once, with what it left behind, and without harm to the next test."""

from __future__ import annotations

from typing import ClassVar

import pytest

from pytest_hyperv import MachineState, VirtualMachine
from pytest_hyperv.errors import GuestCrashed
from tests.conformance.expectations import is_in
from tests.conformance.guests import guest_of

pytestmark = pytest.mark.feature(18)
KINDS = {"linux": "panic", "windows": "bugcheck"}


def test_the_command_ends_with_the_crash(hyperv_vm: VirtualMachine) -> None:
    with pytest.raises(GuestCrashed) as crashed:
        guest_of(hyperv_vm).crash(hyperv_vm)
    assert crashed.value.kind == KINDS[hyperv_vm.image.os_family]
    assert crashed.value.text.strip()
    assert hyperv_vm.crashed
    assert hyperv_vm.crash is not None
    assert hyperv_vm.crash.kind == crashed.value.kind
    assert is_in(hyperv_vm, MachineState.CRASHED)
    with pytest.raises(GuestCrashed):
        hyperv_vm.run(guest_of(hyperv_vm).fine)


@pytest.mark.feature(5)
def test_a_restore_brings_the_machine_back_from_a_crash(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    clean = hyperv_vm.checkpoint("clean")
    with pytest.raises(GuestCrashed):
        guest.crash(hyperv_vm)
    hyperv_vm.restore(clean)
    assert not hyperv_vm.crashed
    assert hyperv_vm.run(guest.fine)


@pytest.mark.hyperv(reset="class")
class TestSharedMachine:
    ids: ClassVar[list[str]] = []

    def test_that_is_crashed_by_one_test(self, hyperv_vm: VirtualMachine) -> None:
        self.ids.append(hyperv_vm.id)
        with pytest.raises(GuestCrashed):
            guest_of(hyperv_vm).crash(hyperv_vm)

    def test_is_replaced_for_the_next(self, hyperv_vm: VirtualMachine) -> None:
        assert hyperv_vm.id not in self.ids
        assert not hyperv_vm.crashed
        assert hyperv_vm.run(guest_of(hyperv_vm).fine)
