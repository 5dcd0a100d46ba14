"""Networks: none unless asked for, through the host, and private between machines."""

from __future__ import annotations

import pytest

from pytest_hyperv import MachineFactory, VirtualMachine
from tests.conformance.guests import guest_of

pytestmark = pytest.mark.feature(8)


@pytest.mark.hyperv(network="none")
def test_a_machine_without_a_network_has_no_adapter_and_takes_commands(hyperv_vm: VirtualMachine) -> None:
    assert hyperv_vm.address == ""
    assert guest_of(hyperv_vm).adapters(hyperv_vm) == []


@pytest.mark.hyperv(network="nat")
def test_a_machine_behind_the_host_has_one_adapter_and_an_address(hyperv_vm: VirtualMachine) -> None:
    assert len(guest_of(hyperv_vm).adapters(hyperv_vm)) == 1
    assert hyperv_vm.address


@pytest.mark.hyperv(network="private")
def test_machines_of_one_private_network_reach_each_other(hyperv_vm_factory: MachineFactory) -> None:
    one, other = hyperv_vm_factory(2)
    guest = guest_of(one)
    assert one.address
    assert other.address
    assert one.address != other.address
    for vm in (one, other):
        assert len(guest.adapters(vm)) == 1
        guest.open_to_ping(vm)
    one.wait_until_succeeds(guest.ping(other.address), timeout=120)
    other.wait_until_succeeds(guest.ping(one.address), timeout=120)
