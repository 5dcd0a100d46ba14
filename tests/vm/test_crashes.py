"""How a guest's death is told: what died, with its last words, at once, and without harm to the next test."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from pytest_hyperv import VirtualMachine
from pytest_hyperv.backends.base import MachineState
from pytest_hyperv.errors import GuestCrashed
from pytest_hyperv.identity import processes_marked
from pytest_hyperv.ledger import TOKEN, Ledger

PANIC = "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger; sleep 60"
TRIPLE_FAULT = "echo triple > /sys/kernel/reboot/type; echo b > /proc/sysrq-trigger; sleep 60"


def test_a_panic_ends_the_command_with_the_panic_text(hyperv_vm: VirtualMachine) -> None:
    with pytest.raises(GuestCrashed, match="Kernel panic - not syncing: sysrq triggered crash") as crashed:
        hyperv_vm.sh(PANIC)
    assert crashed.value.kind == "panic"
    assert "sysrq_handle_crash" in crashed.value.text
    assert hyperv_vm.crashed
    assert hyperv_vm.state is MachineState.CRASHED
    with pytest.raises(GuestCrashed, match="Kernel panic"):
        hyperv_vm.run(["true"])


def test_a_triple_fault_is_told_apart_from_a_reboot(hyperv_vm: VirtualMachine) -> None:
    with pytest.raises(GuestCrashed, match="was reset without shutting down") as crashed:
        hyperv_vm.sh(TRIPLE_FAULT)
    assert crashed.value.kind == "reset"


def test_a_crash_after_a_restored_crash_has_its_own_words(hyperv_vm: VirtualMachine) -> None:
    clean = hyperv_vm.checkpoint("clean")
    with pytest.raises(GuestCrashed, match="Kernel panic"):
        hyperv_vm.sh(PANIC)
    hyperv_vm.restore(clean)
    assert not hyperv_vm.crashed
    assert hyperv_vm.run(["true"])
    with pytest.raises(GuestCrashed) as crashed:
        hyperv_vm.sh(TRIPLE_FAULT)
    assert crashed.value.kind == "reset"
    assert "Kernel panic" not in str(crashed.value)


def test_the_death_of_qemu_ends_the_command(hyperv_vm: VirtualMachine, request: pytest.FixtureRequest) -> None:
    from pytest_hyperv.lab import lab_of

    ledger = Ledger(lab_of(request.config).cache / "machines")
    record = next(record for record in ledger.records() if record.id == hyperv_vm.id)
    qemu = next(p for p in processes_marked(TOKEN, record.token) if p.name().startswith("qemu"))
    process = hyperv_vm.spawn(["sleep", "60"])
    os.kill(qemu.pid, signal.SIGKILL)
    with pytest.raises(GuestCrashed, match="ended unexpectedly") as crashed:
        process.wait(timeout=30)
    assert crashed.value.kind == "hypervisor"
    assert not psutil.pid_exists(qemu.pid) or psutil.Process(qemu.pid).status() == psutil.STATUS_ZOMBIE


class TestSharedMachine:
    @pytest.mark.hyperv(reset="class")
    def test_that_is_crashed_by_one_test(self, hyperv_vm: VirtualMachine) -> None:
        with pytest.raises(GuestCrashed):
            hyperv_vm.sh(PANIC)

    @pytest.mark.hyperv(reset="class")
    def test_is_replaced_for_the_next(self, hyperv_vm: VirtualMachine) -> None:
        assert not hyperv_vm.crashed
        assert hyperv_vm.run(["true"])
