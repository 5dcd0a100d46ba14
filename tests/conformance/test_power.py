"""Power: shut down, started, restarted, cut, paused; and the clock and the session after each."""

from __future__ import annotations

import pytest

from pytest_hyperv import MachineState, VirtualMachine
from pytest_hyperv.errors import MachineStateError
from tests.conformance.expectations import is_in, knows_the_time
from tests.conformance.guests import guest_of

pytestmark = pytest.mark.feature(14)
SLEEPER = 4141


def test_a_new_machine_knows_the_time(hyperv_vm: VirtualMachine) -> None:
    assert knows_the_time(hyperv_vm)


def test_shut_down_and_started_it_has_its_disk_and_another_boot(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    hyperv_vm.write_text(guest.path("kept"), "on disk")
    hyperv_vm.sh(guest.sleep_apart(SLEEPER)).check()
    assert guest.sleeps(hyperv_vm)
    hyperv_vm.shutdown()
    assert is_in(hyperv_vm, MachineState.OFF)
    assert not hyperv_vm.crashed, "a shutdown was taken for a crash"
    with pytest.raises(MachineStateError, match="off"):
        hyperv_vm.run(guest.fine)
    hyperv_vm.start()
    assert is_in(hyperv_vm, MachineState.RUNNING)
    assert hyperv_vm.read_text(guest.path("kept")) == "on disk"
    assert not guest.sleeps(hyperv_vm)
    assert knows_the_time(hyperv_vm)
    with pytest.raises(MachineStateError, match="running"):
        hyperv_vm.start()
    hyperv_vm.kill()
    assert is_in(hyperv_vm, MachineState.OFF)
    assert not hyperv_vm.crashed, "a power cut was taken for a crash"


def test_restarted_it_is_ready_when_the_call_returns(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    hyperv_vm.sh(guest.sleep_apart(SLEEPER)).check()
    hyperv_vm.restart()
    assert hyperv_vm.run(guest.fine)
    assert not guest.sleeps(hyperv_vm), "it was not booted anew"


def test_paused_it_stands_still_and_resumed_it_knows_the_time(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    hyperv_vm.sh(guest.sleep_apart(SLEEPER)).check()
    hyperv_vm.pause()
    assert is_in(hyperv_vm, MachineState.PAUSED)
    with pytest.raises(MachineStateError, match="paused"):
        hyperv_vm.run(guest.fine, timeout=5)
    hyperv_vm.resume()
    assert is_in(hyperv_vm, MachineState.RUNNING)
    assert guest.sleeps(hyperv_vm), "its memory did not stay"
    assert knows_the_time(hyperv_vm)
