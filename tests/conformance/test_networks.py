"""Networks: none unless asked for, through the host, and private between machines."""

from __future__ import annotations

import pytest

from pytest_hyperv import MachineFactory, VirtualMachine
from pytest_hyperv.errors import CommandTimeout
from pytest_hyperv.private_network import SUBNET
from tests.conformance.guests import guest_of

pytestmark = pytest.mark.feature(8)
OUTSIDE = "192.0.2.1"
"""An address of nobody, outside of every private network (RFC 5737)."""


@pytest.mark.hyperv(network="none")
def test_a_machine_without_a_network_has_no_adapter_and_takes_commands(hyperv_vm: VirtualMachine) -> None:
    assert hyperv_vm.address == ""
    assert guest_of(hyperv_vm).adapters(hyperv_vm) == []


@pytest.mark.hyperv(network="nat")
def test_a_machine_behind_the_host_has_one_adapter_and_an_address(hyperv_vm: VirtualMachine) -> None:
    assert len(guest_of(hyperv_vm).adapters(hyperv_vm)) == 1
    assert hyperv_vm.address


@pytest.mark.hyperv(network="private", reset="module")
def test_no_way_leads_out_of_a_private_network(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    assert hyperv_vm.address
    assert len(guest.adapters(hyperv_vm)) == 1
    assert guest.networks(hyperv_vm) == [str(SUBNET)]
    assert not hyperv_vm.run(guest.ping(OUTSIDE))


@pytest.mark.hyperv(network="private", reset="module")
def test_machines_of_one_private_network_reach_each_other_and_nobody_elses(
    hyperv_vm: VirtualMachine, hyperv_vm_factory: MachineFactory
) -> None:
    """The network of the module, and that of this test: the same addresses, and different machines at them."""
    one, other = hyperv_vm_factory(2)
    guest = guest_of(one)
    for vm in (hyperv_vm, one, other):
        guest.open_to_ping(vm)
    one.wait_until_succeeds(guest.ping(other.address), timeout=120)
    other.wait_until_succeeds(guest.ping(one.address), timeout=120)
    port = guest.serve(other)
    one.wait_for_port(port, host=other.name, timeout=120)
    assert hyperv_vm.address == one.address
    assert not hyperv_vm.run(guest.ping(other.address)), "a machine of another network answers"
    with pytest.raises(CommandTimeout):
        hyperv_vm.wait_for_port(port, host=other.name, timeout=3)

    there = one.checkpoint("there")
    one.restore(there)
    one.wait_for_port(port, host=other.name, timeout=120)
    one.restart()
    one.wait_for_port(port, host=other.name, timeout=120)
    assert guest.networks(one) == [str(SUBNET)]
