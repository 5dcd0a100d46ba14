"""A private network of real machines, seen from the host: nothing of it can be reached there."""

from __future__ import annotations

import psutil
import pytest

from pytest_hyperv import MachineFactory, VirtualMachine
from pytest_hyperv.identity import processes_marked
from pytest_hyperv.lab import lab_of
from pytest_hyperv.ledger import TOKEN, Ledger


def processes_of(vm: VirtualMachine, request: pytest.FixtureRequest) -> list[psutil.Process]:
    """What runs for a machine on this host."""
    (record,) = [each for each in Ledger(lab_of(request.config).cache / "machines").records() if each.id == vm.id]
    return processes_marked(TOKEN, record.token)


def link_local(vm: VirtualMachine) -> str:
    """The IPv6 address that a guest gave itself."""
    return vm.run(["ip", "-6", "-brief", "address", "show", "scope", "link"]).check().stdout.split()[2]


def test_the_machines_listen_nowhere_on_the_host_and_are_told_apart(
    hyperv_vm_factory: MachineFactory, request: pytest.FixtureRequest
) -> None:
    one, other = hyperv_vm_factory(2, network="private")
    hardware = [vm.read_text("/sys/class/net/eth0/address").strip() for vm in (one, other)]
    assert len(set(hardware)) == 2, "two cards of one switch have the same address"
    assert len({link_local(one), link_local(other)}) == 2
    for vm in (one, other):
        (qemu,) = processes_of(vm, request)
        assert qemu.net_connections("inet") == []
        unix = {str(each.laddr) for each in qemu.net_connections("unix") if each.laddr}
        assert {path.rpartition("/")[2] for path in unix} <= {
            *("monitor.sock", "agent.sock", "server.sock", "powershell.sock", "visitor.sock")
        }
