"""Checkpoints on the simulated host: trees, what each brings back, and what is hidden from tests."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from pytest_hyperv.backends.base import Checkpoint, MachineState
from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.backends.hyperv.machine import HypervMachine
from pytest_hyperv.errors import MachineError
from pytest_hyperv.machine import VirtualMachine
from pytest_hyperv.psrp.calls import Command
from pytest_hyperv.spec import MIB
from tests.hvsim.host.machines import guest_now
from tests.hvsim.host.states import StateName
from tests.hyperv.conftest import Clone
from tests.hyperv.simulation import SPEC, SPEED, Simulation

PLACE = "C:\\place.txt"


def write(machine: HypervMachine, what: str) -> None:
    """Leave a word on the guest's disk."""
    machine.session.write_file(PLACE, [what.encode()], mode=0o644, timeout=20)


def read(machine: HypervMachine) -> str:
    """The word on the guest's disk, "" when there is none."""
    if machine.session.stat(PLACE) is None:
        return ""
    return b"".join(machine.session.read_file(PLACE, timeout=20)).decode()


def grown(machine: HypervMachine, name: str) -> Checkpoint:
    """A point at which the guest's disk holds the point's name."""
    write(machine, name)
    return machine.checkpoint(name, memory=True)


def test_points_form_a_tree_and_every_node_can_be_gone_back_to(vm: VirtualMachine, machine: HypervMachine) -> None:
    first = grown(machine, "first")
    second = grown(machine, "second")
    machine.restore(first)
    third = grown(machine, "third")
    assert [(point.name, point.parent) for point in machine.checkpoints()] == [
        ("first", ""),
        ("second", first.id),
        ("third", first.id),
    ]
    assert str(vm.checkpoints) == "state\n  first\n    second\n    third  <- here"
    for point in (second, first, third, second):
        machine.restore(point)
        assert read(machine) == point.name
        assert vm.state is MachineState.RUNNING
        assert machine.current == point.id


def test_a_point_in_the_middle_goes_and_what_grew_from_it_stays(host: Simulation, machine: HypervMachine) -> None:
    first, middle, last = (grown(machine, name) for name in ("first", "middle", "last"))
    machine.delete_checkpoint(middle)
    assert [(point.id, point.parent) for point in machine.checkpoints()] == [(first.id, ""), (last.id, first.id)]
    with host.world() as world:
        assert world.merges == []
    machine.restore(last)
    assert read(machine) == "last"
    machine.restore(first)
    assert read(machine) == "first"


def test_the_last_point_goes_and_the_machine_runs_on(host: Simulation, machine: HypervMachine) -> None:
    point = grown(machine, "only")
    write(machine, "later")
    machine.delete_checkpoint(point)
    assert machine.checkpoints() == ()
    assert machine.current == ""
    assert read(machine) == "later"
    with host.world() as world:
        assert world.merges == []


def test_a_point_that_is_gone_is_named_with_those_that_are_left(machine: HypervMachine) -> None:
    kept, gone = machine.checkpoint("kept", memory=True), machine.checkpoint("gone", memory=True)
    machine.delete_checkpoint(gone)
    for refused in (machine.restore, machine.delete_checkpoint):
        with pytest.raises(MachineError, match="it has: kept") as told:
            refused(gone)
        assert told.value.hint
    machine.restore(kept)


def test_a_point_with_memory_brings_back_what_ran(machine: HypervMachine) -> None:
    assert machine.session.run(["sc.exe", "stop", "Spooler"])
    point = machine.checkpoint("stopped", memory=True)
    assert machine.session.run(["sc.exe", "start", "Spooler"])
    machine.kill()
    machine.restore(point)
    assert machine.state is MachineState.RUNNING
    assert "STOPPED" in machine.session.run(["sc.exe", "query", "Spooler"]).stdout


def test_a_production_point_holds_the_disk_alone(host: Simulation, machine: HypervMachine) -> None:
    write(machine, "before")
    point = machine.checkpoint("disk", memory=False)
    assert not point.memory
    assert host.machine(machine.id).checkpoints[point.id].memory is None
    write(machine, "after")
    machine.restore(point)
    assert machine.state is MachineState.OFF
    machine.start(60)
    assert read(machine) == "before"


def test_a_point_of_a_machine_that_is_off_holds_no_memory(machine: HypervMachine) -> None:
    write(machine, "before")
    machine.shutdown(60)
    point = machine.checkpoint("off", memory=True)
    assert not point.memory
    machine.start(60)
    write(machine, "after")
    machine.restore(point)
    assert machine.state is MachineState.OFF
    machine.start(60)
    assert read(machine) == "before"


def test_a_paused_machine_can_be_saved_and_gone_back_to(machine: HypervMachine) -> None:
    write(machine, "paused")
    machine.pause()
    point = machine.checkpoint("paused", memory=True)
    assert machine.state is MachineState.PAUSED
    machine.restore(point)
    assert read(machine) == "paused"


def test_the_guests_clock_is_set_to_that_of_this_machine(host: Simulation, machine: HypervMachine) -> None:
    point = machine.checkpoint("old", memory=True)
    began = time.time()
    machine.restore(point)
    with host.world() as world:
        told = guest_now(world.machine(machine.id), world.now)
    assert began <= told <= began + (time.time() - began) * SPEED


def test_names_need_not_be_unique(machine: HypervMachine) -> None:
    one, other = grown(machine, "same"), machine.checkpoint("same", memory=True)
    write(machine, "later")
    assert one.id != other.id
    machine.restore(one)
    assert read(machine) == "same"


def test_the_owners_notes_survive_going_back(host: Simulation, machine: HypervMachine) -> None:
    notes = host.machine(machine.id).notes
    point = machine.checkpoint("one", memory=True)
    machine.restore(point)
    machine.recycle()
    assert host.machine(machine.id).notes == notes != ""


def test_the_clean_point_is_hidden_and_a_reset_goes_back_to_it(host: Simulation, machine: HypervMachine) -> None:
    (clean,) = host.machine(machine.id).checkpoints
    assert machine.checkpoints() == ()
    grown(machine, "first")
    grown(machine, "second")
    assert machine.recycle()
    assert list(host.machine(machine.id).checkpoints) == [clean]
    assert (machine.checkpoints(), machine.current, read(machine)) == ((), "", "")


def test_a_reset_brings_back_a_machine_that_a_test_left_off(machine: HypervMachine) -> None:
    write(machine, "dirt")
    machine.kill()
    assert machine.recycle()
    assert (machine.state, read(machine)) == (MachineState.RUNNING, "")


def test_a_reset_brings_back_a_machine_that_a_test_left_paused(machine: HypervMachine) -> None:
    write(machine, "dirt")
    machine.pause()
    assert machine.recycle()
    assert (machine.state, read(machine)) == (MachineState.RUNNING, "")


def test_a_reset_brings_back_a_machine_that_was_saved(
    host: Simulation, backend: HypervBackend, machine: HypervMachine
) -> None:
    write(machine, "dirt")
    backend.host.run(Command("Hyper-V\\Get-VM", Id=machine.id) | Command("Hyper-V\\Save-VM"))
    assert host.machine(machine.id).state == StateName.Saved
    assert machine.recycle()
    assert read(machine) == ""


def test_a_saved_machine_can_be_thrown_away(host: Simulation, backend: HypervBackend, machine: HypervMachine) -> None:
    backend.host.run(Command("Hyper-V\\Get-VM", Id=machine.id) | Command("Hyper-V\\Save-VM"))
    assert host.machine(machine.id).state == StateName.Saved
    machine.discard()
    with host.world() as world:
        assert world.machines == {}


def test_many_resets_leave_one_point(host: Simulation, machine: HypervMachine) -> None:
    for _ in range(10):
        machine.checkpoint("dirt", memory=True)
        assert machine.recycle()
    assert len(host.machine(machine.id).checkpoints) == 1


def test_merges_are_waited_for_however_long_they_take(host: Simulation, machine: HypervMachine) -> None:
    points = [grown(machine, name) for name in ("one", "two", "three")]
    for point in points:
        machine.delete_checkpoint(point)
        with host.world() as world:
            assert world.merges == []
    assert read(machine) == "three"


def test_a_machine_is_exported_and_taken_in_as_one_of_its_own(
    host: Simulation, backend: HypervBackend, clone: Clone
) -> None:
    spec = replace(SPEC, memory=768 * MIB)
    machine = clone(spec)
    write(machine, "carried")
    point = machine.checkpoint("carried", memory=True)
    machine.shutdown(60)
    folder = f"{backend.host.store}\\exports"
    configuration = machine.export(folder)
    taken = backend.imported(configuration, host.state(spec), "an import")
    try:
        assert taken.id != machine.id
        taken.start(60)
        assert read(taken) == "carried"
        assert {known.name for known in taken.checkpoints()} >= {point.name}
    finally:
        taken.discard()
        remove(backend, folder)
    machine.start(60)
    assert read(machine) == "carried"


def remove(backend: HypervBackend, folder: str) -> None:
    """Remove a folder of the host."""
    told = backend.host.run(Command("Remove-Item", LiteralPath=folder, Recurse=True, Force=True))
    assert told.errors == []
