"""Virtual hardware, as the guest sees it."""

from __future__ import annotations

import pytest

from pytest_hyperv import MachineFactory, VirtualMachine
from tests.conformance.guests import guest_of


@pytest.mark.hyperv(secure_boot=True, tpm=True, reset="class")
class TestSecuredMachine:
    @pytest.mark.feature(2)
    def test_firmware_says_that_secure_boot_is_on(self, hyperv_vm: VirtualMachine) -> None:
        assert guest_of(hyperv_vm).secure_boot(hyperv_vm)

    @pytest.mark.feature(3)
    def test_the_guest_has_a_tpm_2(self, hyperv_vm: VirtualMachine) -> None:
        assert guest_of(hyperv_vm).has_tpm_2(hyperv_vm)

    @pytest.mark.feature(3, 5)
    def test_a_restored_checkpoint_has_its_tpm(self, hyperv_vm: VirtualMachine) -> None:
        clean = hyperv_vm.checkpoint("clean")
        hyperv_vm.restore(clean)
        assert guest_of(hyperv_vm).has_tpm_2(hyperv_vm)


@pytest.mark.feature(2)
@pytest.mark.hyperv(secure_boot=False)
def test_without_secure_boot_firmware_says_that_it_is_off(hyperv_vm: VirtualMachine) -> None:
    assert not guest_of(hyperv_vm).secure_boot(hyperv_vm)


@pytest.mark.feature(3)
@pytest.mark.hyperv(tpm=False)
def test_no_tpm_is_there_when_none_was_asked_for(hyperv_vm: VirtualMachine) -> None:
    assert not guest_of(hyperv_vm).has_tpm_2(hyperv_vm)


@pytest.mark.feature(4)
def test_dynamic_memory_stays_within_its_bounds(hyperv_vm_factory: MachineFactory) -> None:
    (plain,) = hyperv_vm_factory()
    low, high = plain.spec.memory // 2, plain.spec.memory * 2
    (vm,) = hyperv_vm_factory(dynamic_memory=(low, high))
    assert vm.spec.dynamic_memory == (low, high)
    assert 0.7 * low < guest_of(vm).memory(vm) <= high


@pytest.mark.feature(6)
@pytest.mark.nested_virtualization
def test_a_machine_that_can_run_machines_shows_virtualization(hyperv_vm: VirtualMachine) -> None:
    assert hyperv_vm.spec.nested
    assert guest_of(hyperv_vm).sees_virtualization(hyperv_vm)
