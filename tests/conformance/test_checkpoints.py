"""Checkpoints: trees of them, with and without memory, restored in any order while a test runs."""

from __future__ import annotations

import pytest

from pytest_hyperv import MachineState, VirtualMachine
from pytest_hyperv.errors import MachineError
from tests.conformance.expectations import is_in, knows_the_time
from tests.conformance.guests import guest_of

pytestmark = [pytest.mark.feature(5), pytest.mark.hyperv_requires("checkpoints")]
SLEEPER = 4343


def test_a_checkpoint_with_memory_brings_disk_and_programs_back(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    hyperv_vm.sh(guest.sleep_apart(SLEEPER)).check()
    hyperv_vm.write_text(guest.path("step"), "before")
    clean = hyperv_vm.checkpoint("clean")
    assert clean.memory
    assert guest.sleeps(hyperv_vm), "the machine did not go on"
    for step in ("one", "two"):
        hyperv_vm.write_text(guest.path("step"), step)
        hyperv_vm.write_text(guest.path(step), "new")
        hyperv_vm.restore(clean)
        assert is_in(hyperv_vm, MachineState.RUNNING)
        assert hyperv_vm.read_text(guest.path("step")) == "before"
        assert not hyperv_vm.run(guest.exists(guest.path(step)))
        assert guest.sleeps(hyperv_vm), "the memory of the checkpoint is not there"


@pytest.mark.feature(14)
def test_the_clock_is_right_after_a_restore(hyperv_vm: VirtualMachine) -> None:
    clean = hyperv_vm.checkpoint("clean")
    hyperv_vm.restore(clean)
    assert knows_the_time(hyperv_vm)


def test_any_node_of_a_tree_can_be_restored(hyperv_vm: VirtualMachine) -> None:
    step = guest_of(hyperv_vm).path("step")
    hyperv_vm.write_text(step, "clean")
    clean = hyperv_vm.checkpoint("clean")
    hyperv_vm.write_text(step, "left")
    left = hyperv_vm.checkpoint("left")
    hyperv_vm.restore(clean)
    hyperv_vm.write_text(step, "right")
    right = hyperv_vm.checkpoint("right")
    assert (left.parent, right.parent) == (clean.id, clean.id)
    for node in (left, clean, right, left):
        hyperv_vm.restore(node)
        assert hyperv_vm.read_text(step) == node.name
    assert str(hyperv_vm.checkpoints) == "state\n  clean\n    left  <- here\n    right"


def test_a_deleted_checkpoint_leaves_those_that_grew_from_it(hyperv_vm: VirtualMachine) -> None:
    step = guest_of(hyperv_vm).path("step")
    hyperv_vm.write_text(step, "first")
    first = hyperv_vm.checkpoint("first")
    hyperv_vm.write_text(step, "second")
    second = hyperv_vm.checkpoint("second")
    hyperv_vm.write_text(step, "now")
    hyperv_vm.delete_checkpoint(first)
    assert [node.name for node in hyperv_vm.checkpoints.root.children] == ["second"]
    with pytest.raises(MachineError):
        hyperv_vm.restore(first)
    assert hyperv_vm.read_text(step) == "now", "the deletion changed the machine"
    hyperv_vm.restore(second)
    assert hyperv_vm.read_text(step) == "second"


def test_a_checkpoint_without_memory_leaves_the_machine_off_and_boots(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    hyperv_vm.write_text(guest.path("kept"), "on disk")
    hyperv_vm.sh(guest.sleep_apart(SLEEPER)).check()
    cold = hyperv_vm.checkpoint("cold", memory=False)
    assert not cold.memory
    assert is_in(hyperv_vm, MachineState.RUNNING)
    hyperv_vm.write_text(guest.path("kept"), "changed")
    hyperv_vm.restore(cold)
    assert is_in(hyperv_vm, MachineState.OFF)
    off = hyperv_vm.checkpoint("off")
    assert not off.memory, "there is no memory to be saved in a machine that is off"
    hyperv_vm.start()
    assert hyperv_vm.read_text(guest.path("kept")) == "on disk"
    assert not guest.sleeps(hyperv_vm), "it was not booted anew"
    hyperv_vm.restore(off)
    assert is_in(hyperv_vm, MachineState.OFF)
    assert str(hyperv_vm.checkpoints) == "state\n  cold\n    off  <- here"
