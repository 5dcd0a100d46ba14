"""Faults on demand: each strikes where it was planned, as often as it was planned, and clears."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.hvsim.binder import NetObject
from tests.hvsim.console import GOLDEN, Console, open_console
from tests.hvsim.host import crashes
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.faults import (
    KINDS,
    Fault,
    ProcessDies,
    at_process_start,
    boot_of,
    clear_faults,
    module_delay,
    plan_fault,
    strike,
)
from tests.hvsim.host.inventory import forget_process, left_over, register_process
from tests.hvsim.host.locks import refuse_if_held
from tests.hvsim.host.machines import readiness
from tests.hvsim.host.options import GIB, HostOptions
from tests.hvsim.plan import main


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return open_console(tmp_path, HostOptions(speed=1.0))


def plan(console: Console, kind: str, **more: object) -> None:
    plan_fault(console.host.folder, Fault(kind, **more))  # type: ignore[arg-type]


def state(console: Console, vm: NetObject) -> str:
    return str(console.fresh(vm).property("State"))


def events(console: Console, number: int) -> list[str]:
    with console.host.transaction() as world:
        return [event.message for event in world.events if event.id == number]


def test_an_unknown_kind_is_refused(console: Console) -> None:
    with pytest.raises(ValueError, match="unknown fault 'earthquake'"):
        plan(console, "earthquake")


def test_a_fault_strikes_as_often_as_planned(console: Console) -> None:
    plan(console, "access-denied", times=2)
    for _ in range(2):
        with pytest.raises(HostFailure) as denied:
            console("Get-VM")
        assert denied.value.error_id == "AccessDenied"
    console("Get-VM")


def test_a_fault_waits_for_its_cmdlet(console: Console) -> None:
    plan(console, "access-denied", on="get-vmhost")
    console("Get-VM")
    with pytest.raises(HostFailure):
        console("Get-VMHost")


def test_a_fault_waits_for_its_machine(console: Console) -> None:
    one, two = console.machine("one"), console.machine("two")
    plan(console, "pending-job", machine="TWO")
    console("Start-VM", one)
    with pytest.raises(HostFailure, match=r"\(32775\)"):
        console("Start-VM", two)


def test_a_pending_job_blocks_changes_for_its_time_only(console: Console) -> None:
    vm = console.machine()
    plan(console, "pending-job", on="Remove-VM", seconds=10.0)
    for cmdlet in ("Remove-VM", "Start-VM"):
        with pytest.raises(HostFailure, match=r"\(32775\)") as refused:
            console(cmdlet, vm)
        assert refused.value.error_id == "InvalidState"
    console("Get-VM")
    console.host.advance(11)
    console("Remove-VM", vm, Force=True)


def test_a_sharing_violation_passes(console: Console) -> None:
    console.golden()
    plan(console, "sharing-violation")
    console("Get-VM")
    with pytest.raises(HostFailure) as refused:
        console("New-VHD", Path="C:\\d.vhdx", ParentPath=GOLDEN, Differencing=True)
    assert (refused.value.hresult, refused.value.error_id) == (0x80070020, "ObjectInUse")
    console("New-VHD", Path="C:\\d.vhdx", ParentPath=GOLDEN, Differencing=True)


def test_a_sharing_violation_can_be_meant_for_the_removal_of_files(console: Console) -> None:
    plan(console, "sharing-violation", on="Remove-Item")
    with console.host.transaction() as world:
        with pytest.raises(HostFailure):
            refuse_if_held(world, GOLDEN)
        refuse_if_held(world, GOLDEN)


def test_a_worker_that_dies_leaves_the_machine_off_with_its_event(console: Console) -> None:
    vm = console.ready(console.machine())
    plan(console, "worker-dies", machine="vm-1")
    assert state(console, vm) == "Off"
    (message,) = events(console, 14070)
    assert f"(Virtual machine ID {str(vm.property('Id')).upper()})" in message


def test_a_bugcheck_is_logged_with_its_code_and_the_guest_boots_again(console: Console) -> None:
    vm = console.ready(console.machine())
    plan(console, "guest-bugcheck", code="0x0000007E")
    assert state(console, vm) == "Running"
    (message,) = events(console, 18590)
    assert "0x0000007E" in message
    assert str(console.fresh(vm).property("Heartbeat")) == "NoContact"
    console.host.advance(20)
    assert str(console.fresh(vm).property("Heartbeat")) == "OkApplicationsUnknown"


def test_a_fault_of_guests_waits_until_one_is_up(console: Console) -> None:
    plan(console, "guest-bugcheck")
    vm = console.machine()
    console("Start-VM", vm)
    assert events(console, 18590) == []
    console.host.advance(20)
    assert len(events(console, 18590)) == 1


def test_a_bugcheck_by_the_guest_itself_carries_its_parameters(console: Console) -> None:
    vm = console.ready(console.machine())
    with console.host.transaction() as world:
        crashes.bugcheck(world, world.machine(str(vm.property("Id"))), "0xD1", ("0x1", "0x2", "0x3", "0x4"))
        assert world.events[-2].properties[2:] == ["0xD1", "0x1", "0x2", "0x3", "0x4"]


def test_a_triple_fault_leaves_the_machine_off(console: Console) -> None:
    vm = console.ready(console.machine())
    plan(console, "triple-fault")
    assert state(console, vm) == "Off"
    assert len(events(console, 18539)) == 1


def test_a_guest_that_hangs_loses_its_heartbeat_and_answers_nothing(console: Console) -> None:
    vm = console.ready(console.machine())
    plan(console, "guest-hangs")
    assert str(console.fresh(vm).property("Heartbeat")) == "LostCommunication"
    with console.host.transaction() as world:
        assert not readiness(world.machine(str(vm.property("Id"))), world.now).powershell_direct
    console("Stop-VM", vm, TurnOff=True)
    console.ready(vm)
    assert str(console.fresh(vm).property("Heartbeat")) == "OkApplicationsUnknown"


def test_a_full_disk_pauses_machines_and_refuses_new_disks_until_there_is_room(console: Console) -> None:
    vm = console.ready(console.machine())
    plan(console, "disk-full")
    assert state(console, vm) == "PausedCritical"
    with pytest.raises(HostFailure) as refused:
        console("New-VHD", Path="C:\\d.vhdx", SizeBytes=GIB, Dynamic=True)
    assert refused.value.hresult == 0x80070070
    clear_faults(console.host.folder)
    assert state(console, vm) == "Running"
    console("New-VHD", Path="C:\\d.vhdx", SizeBytes=GIB, Dynamic=True)


def test_a_machine_paused_for_a_full_disk_can_be_turned_off_and_removed(console: Console) -> None:
    vm = console.ready(console.machine())
    plan(console, "disk-full")
    console("Stop-VM", vm, TurnOff=True, Force=True)
    console("Remove-VM", vm, Force=True)
    assert console("Get-VM") == []


def test_a_lost_reply_comes_after_the_work(console: Console) -> None:
    plan(console, "reply-lost", on="New-VM")
    with pytest.raises(ProcessDies):
        console("New-VM", Name="done", Generation=2, NoVHD=True)
    assert console.one("Get-VM").property("Name") == "done"


def test_a_host_that_reboots_ends_processes_and_lets_machines_go_by_their_stop_action(console: Console) -> None:
    off = console.ready(console.machine("off", AutomaticStopAction="TurnOff", AutomaticStartAction="Nothing"))
    saved = console.ready(console.machine("saved", AutomaticStopAction="Save", AutomaticStartAction="Nothing"))
    again = console.ready(console.machine("again", AutomaticStopAction="TurnOff", AutomaticStartAction="Start"))
    before = boot_of(console.host)
    plan(console, "host-reboots")
    with pytest.raises(ProcessDies):
        console("Get-VMHost")
    assert boot_of(console.host) == before + 1
    assert [state(console, vm) for vm in (off, saved, again)] == ["Off", "Saved", "Starting"]
    console.host.advance(2)
    assert state(console, again) == "Running"


def test_a_process_dies_at_its_start_once(console: Console) -> None:
    plan(console, "process-dies-at-start")
    with pytest.raises(ProcessDies) as death:
        at_process_start(console.host)
    assert death.value.exit_code == 0xC0000005
    at_process_start(console.host)


def test_the_module_is_slow_when_planned(console: Console) -> None:
    plan(console, "slow-module", seconds=30.0)
    assert module_delay(console.host) == 30.0
    assert module_delay(console.host) == 0.0


@pytest.mark.parametrize("kind", ["psdirect-hangs", "credential-invalid"])
def test_faults_of_sessions_are_for_the_guest_to_take(console: Console, kind: str) -> None:
    vm = console.ready(console.machine())
    plan(console, kind, machine="vm-1")
    with console.host.transaction() as world:
        machine = world.machine(str(vm.property("Id")))
        assert strike(world, kind, vm=machine) is not None
        assert strike(world, kind, vm=machine) is None


def test_a_fault_is_planned_and_cleared_from_the_command_line(console: Console) -> None:
    runner = CliRunner()
    folder = str(console.host.folder)
    planned = runner.invoke(main, [folder, "access-denied", "--times", "3", "--on", "Get-VM"])
    assert planned.exit_code == 0, planned.output
    with console.host.transaction() as world:
        assert [(fault.kind, fault.times, fault.on) for fault in world.faults] == [("access-denied", 3, "Get-VM")]
    assert runner.invoke(main, [folder, "clear"]).exit_code == 0
    console("Get-VM")
    assert runner.invoke(main, [folder, "earthquake"]).exit_code != 0
    assert all(kind in runner.invoke(main, ["--help"]).output for kind in KINDS)


def test_what_is_left_over_is_named(console: Console) -> None:
    vm = console.ready(console.machine())
    register_process(console.host, os.getpid())
    with console.host.transaction() as world:
        world.hold("C:\\store\\x.vhdx", 100, "a scanner reads it")
    found = left_over(console.host.folder, "C:\\store")
    assert f"machine vm-1 ({vm.property('Id')}) is Running" in found
    assert f"process {os.getpid()}" in found
    assert "c:\\store\\x.vhdx is locked: a scanner reads it" in found
    assert "file C:\\store\\vm-1\\vm-1-disk.vhdx" in found
    forget_process(console.host, os.getpid())
    assert f"process {os.getpid()}" not in left_over(console.host.folder)
