"""States of a machine: what each allows, how long a change takes, and what a guest's life is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hvsim.binder import NetObject
from tests.hvsim.console import Console, open_console
from tests.hvsim.host import power
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.machines import VirtualMachine, guest_now, readiness
from tests.hvsim.host.options import HostOptions
from tests.hvsim.host.state import World
from tests.hvsim.host.states import StateName


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return open_console(tmp_path, HostOptions(speed=1.0))


def state(console: Console, vm: NetObject) -> str:
    return str(console.fresh(vm).property("State"))


def inside(console: Console, vm: NetObject) -> tuple[World, VirtualMachine]:
    with console.host.transaction() as world:
        return world, world.machine(str(vm.property("Id")))


def remember(console: Console, vm: NetObject, **facts: str) -> None:
    with console.host.transaction() as world:
        world.machine(str(vm.property("Id"))).memory.update(facts)


def event_ids(console: Console) -> list[int]:
    with console.host.transaction() as world:
        return [event.id for event in world.events]


def test_a_start_goes_through_starting_to_running_and_is_logged(console: Console) -> None:
    vm = console.machine()
    console("Start-VM", vm)
    assert state(console, vm) == "Running"
    assert event_ids(console) == [18500, 18601]
    _, machine = inside(console, vm)
    assert machine.settings.adapters[0].mac.startswith("00155D")


def test_starting_what_runs_is_a_warning_not_an_error(console: Console) -> None:
    vm = console.machine()
    console("Start-VM", vm)
    assert console.warnings == []
    console("Start-VM", vm)
    assert console.warnings == ["The virtual machine is already in the specified state."]
    console("Stop-VM", vm, TurnOff=True)
    console("Stop-VM", vm, TurnOff=True)
    assert len(console.warnings) == 2


def test_another_process_sees_the_state_in_between_and_is_refused_then(console: Console) -> None:
    vm = console.machine()
    with console.host.transaction() as world:
        power.start(world, world.machine(str(vm.property("Id"))))
    assert state(console, vm) == "Starting"
    with pytest.raises(HostFailure, match=r"\(32775\)"):
        console("Save-VM", vm)
    console.host.advance(2)
    assert state(console, vm) == "Running"


def test_heartbeat_comes_before_powershell_direct(console: Console) -> None:
    vm = console.machine()
    console("Start-VM", vm)
    assert str(console.fresh(vm).property("Heartbeat")) == "NoContact"
    console.host.advance(9)
    world, machine = inside(console, vm)
    ready = readiness(machine, world.now)
    assert (ready.heartbeat, ready.powershell_direct) == (True, False)
    assert str(console.fresh(vm).property("Heartbeat")) == "OkApplicationsUnknown"
    console.host.advance(4)
    world, machine = inside(console, vm)
    assert readiness(machine, world.now).login


def test_a_disk_without_a_system_never_answers(console: Console) -> None:
    vm = console.one(
        "New-VM", Name="empty", Generation=2, NewVHDPath="C:\\store\\empty.vhdx", NewVHDSizeBytes=10 * 1024**3
    )
    console.ready(vm)
    assert str(console.fresh(vm).property("Heartbeat")) == "NoContact"
    assert 18603 in event_ids(console)


def test_a_graceful_stop_throws_while_the_guest_boots(console: Console) -> None:
    vm = console.machine()
    console("Start-VM", vm)
    with pytest.raises(HostFailure, match="device is not ready") as refused:
        console("Stop-VM", vm, Force=True)
    assert refused.value.hresult == 0x80070015
    assert state(console, vm) == "Running"


def test_a_graceful_stop_shuts_the_guest_down(console: Console) -> None:
    vm = console.ready(console.machine())
    console("Stop-VM", vm, Force=True)
    assert state(console, vm) == "Off"
    assert 18504 in event_ids(console)


def test_a_graceful_stop_wants_the_shutdown_service(console: Console) -> None:
    vm = console.ready(console.machine())
    console("Disable-VMIntegrationService", vm, Name="Shutdown")
    with pytest.raises(HostFailure, match="not ready"):
        console("Stop-VM", vm, Force=True)


@pytest.mark.parametrize("force", [True, False])
def test_a_guest_that_hangs_is_turned_off_after_five_minutes_by_force_only(console: Console, force: bool) -> None:
    vm = console.ready(console.machine())
    with console.host.transaction() as world:
        world.machine(str(vm.property("Id"))).hung = True
        before = world.now
    if force:
        console("Stop-VM", vm, Force=True)
        assert state(console, vm) == "Off"
    else:
        with pytest.raises(HostFailure, match="did not shut down in time"):
            console("Stop-VM", vm)
        assert state(console, vm) == "Running"
    world, _ = inside(console, vm)
    assert world.now - before >= 300


def test_saving_keeps_memory_and_ends_the_life_of_sessions(console: Console) -> None:
    vm = console.ready(console.machine())
    remember(console, vm, counter="7")
    _, before = inside(console, vm)
    console("Save-VM", vm)
    assert state(console, vm) == "Saved"
    console("Start-VM", vm)
    world, after = inside(console, vm)
    assert after.memory == {"counter": "7"}
    assert after.life != before.life
    assert readiness(after, world.now).login


def test_turning_off_loses_memory(console: Console) -> None:
    vm = console.ready(console.machine())
    remember(console, vm, counter="7")
    console("Stop-VM", vm, TurnOff=True)
    _, machine = inside(console, vm)
    assert machine.memory == {}


def test_a_resumed_guest_is_behind_until_its_clock_is_set(console: Console) -> None:
    vm = console.ready(console.machine())
    console("Save-VM", vm)
    console.host.advance(1000)
    console("Start-VM", vm)
    world, machine = inside(console, vm)
    assert world.now - guest_now(machine, world.now) == pytest.approx(1000, abs=5)
    console.host.advance(40)
    world, machine = inside(console, vm)
    assert guest_now(machine, world.now) == world.now


def test_without_time_synchronisation_a_resumed_guest_stays_behind(console: Console) -> None:
    vm = console.ready(console.machine())
    console("Disable-VMIntegrationService", vm, Name="Time Synchronization")
    console("Save-VM", vm)
    console.host.advance(1000)
    console("Start-VM", vm)
    console.host.advance(1000)
    world, machine = inside(console, vm)
    assert world.now - guest_now(machine, world.now) >= 995


def test_a_pause_keeps_the_life_and_stops_the_guest(console: Console) -> None:
    vm = console.ready(console.machine())
    _, before = inside(console, vm)
    console("Suspend-VM", vm)
    assert (state(console, vm), str(console.fresh(vm).property("Heartbeat"))) == ("Paused", "Paused")
    console("Resume-VM", vm)
    _, after = inside(console, vm)
    assert (state(console, vm), after.life) == ("Running", before.life)


@pytest.mark.parametrize(
    ("cmdlet", "parameters"),
    [
        ("Suspend-VM", {}),
        ("Resume-VM", {}),
        ("Save-VM", {}),
        ("Remove-VMSavedState", {}),
    ],
)
def test_what_wants_a_running_machine_is_refused_by_one_that_is_off(
    console: Console, cmdlet: str, parameters: dict[str, object]
) -> None:
    vm = console.machine()
    with pytest.raises(HostFailure) as refused:
        console(cmdlet, vm, **parameters)
    assert (refused.value.error_id, refused.value.category) == ("InvalidState", "InvalidOperation")


def test_a_saved_state_can_be_thrown_away(console: Console) -> None:
    vm = console.ready(console.machine())
    console("Save-VM", vm)
    with pytest.raises(HostFailure, match="is saved"):
        console("Stop-VM", vm, TurnOff=True)
    console("Remove-VMSavedState", vm)
    assert state(console, vm) == "Off"


def test_a_restart_is_a_hard_one(console: Console) -> None:
    vm = console.ready(console.machine())
    remember(console, vm, counter="7")
    _, before = inside(console, vm)
    console("Restart-VM", Name="vm-1", Force=True)
    world, after = inside(console, vm)
    assert (after.state, after.memory) == (StateName.Running, {})
    assert after.life != before.life
    assert not readiness(after, world.now).heartbeat


def test_a_disk_that_another_machine_runs_on_cannot_be_started(console: Console) -> None:
    first = console.machine("one")
    disk = "C:\\store\\one\\one-disk.vhdx"
    second = console.one("New-VM", Name="two", Generation=2, VHDPath=disk)
    console("Start-VM", first)
    with pytest.raises(HostFailure, match="used by another process") as refused:
        console("Start-VM", second)
    assert refused.value.hresult == 0x80070020


def test_a_read_only_disk_cannot_be_started(console: Console) -> None:
    console.golden()
    vm = console.one("New-VM", Name="direct", Generation=2, VHDPath="C:\\images\\golden.vhdx")
    with pytest.raises(HostFailure, match="access denied") as refused:
        console("Start-VM", vm)
    assert refused.value.hresult == 0x80070005


def test_a_machine_with_a_broken_chain_cannot_be_started(console: Console) -> None:
    vm = console.machine()
    console.host.drives.resolve("C:\\images\\golden.vhdx").unlink()
    with pytest.raises(HostFailure, match="chain of virtual hard disks is inaccessible") as refused:
        console("Start-VM", vm)
    assert refused.value.hresult == 0xC03A0014


def test_a_child_disk_booted_below_another_breaks_it(console: Console) -> None:
    vm = console.machine("one")
    console("New-VHD", Path="C:\\store\\late.vhdx", ParentPath="C:\\store\\one\\one-disk.vhdx", Differencing=True)
    console("Start-VM", vm)
    with pytest.raises(HostFailure) as broken:
        console("Get-VHD", Path="C:\\store\\late.vhdx")
    assert broken.value.hresult == 0xC03A000E


def test_texts_are_in_the_language_of_the_host(tmp_path: Path) -> None:
    console = open_console(tmp_path, HostOptions(culture="de-DE"))
    vm = console.machine()
    assert vm.property("Status") == "Normaler Betrieb"
    assert str(vm.property("State")) == "Off"
