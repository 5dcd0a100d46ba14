"""Faults that befall machines and the host: pending jobs, planned crashes, a restart of the host."""

from __future__ import annotations

from tests.hvsim.host.booting import mark_dead
from tests.hvsim.host.checkpoints import put_aside
from tests.hvsim.host.crashes import bugcheck, fill_disk, triple_fault, worker_dies
from tests.hvsim.host.failures import state_conflict
from tests.hvsim.host.machines import VirtualMachine, new_id
from tests.hvsim.host.power import start
from tests.hvsim.host.state import Fault, Job, World
from tests.hvsim.host.states import OCCUPIES_MEMORY, StateName
from tests.hvsim.host.strikes import field_strikes, strike

FIELD_JOB = 2.0
"""Simulated seconds that a job of field mode is pending."""
MACHINE_FAULTS = ("worker-dies", "guest-bugcheck", "triple-fault", "guest-hangs", "disk-full")


def before_change(world: World, vm: VirtualMachine, command: str) -> None:
    """Let a job be pending if that is planned or chance has it. Raises `HostFailure` 32775 while one is."""
    fault = strike(world, "pending-job", on=command, vm=vm)
    if fault is not None or field_strikes(world, "pending-job"):
        world.jobs.append(Job(vm.id, world.now + (fault.seconds if fault else FIELD_JOB)))
    if any(job.machine == vm.id for job in world.jobs):
        raise state_conflict(f"run {command} on", vm.name, vm.id)


def strike_machines(world: World, *, on: str | None = None) -> None:
    """Let planned faults befall the machines they are meant for: those whose guest is up, whatever the occasion."""
    if strike(world, "disk-full", on=on):
        fill_disk(world)
    for vm in list(world.machines.values()):
        if vm.state != StateName.Running or world.now < vm.direct_at:
            continue
        for kind in MACHINE_FAULTS:
            fault = strike(world, kind, on=on, vm=vm)
            if fault is not None:
                befall(world, vm, fault)
            if vm.state != StateName.Running:
                break


def befall(world: World, vm: VirtualMachine, fault: Fault) -> None:
    """Do to a running machine what a fault of `MACHINE_FAULTS` does."""
    match fault.kind:
        case "worker-dies":
            worker_dies(world, vm)
        case "guest-bugcheck":
            bugcheck(world, vm, fault.code)
        case "triple-fault":
            triple_fault(world, vm)
        case "guest-hangs":
            vm.hung = True
        case "disk-full":
            fill_disk(world)


def reboot_host(world: World) -> None:
    """The host restarts: machines end by their stop action, merges and locks of the old boot are over."""
    was_running: list[VirtualMachine] = []
    for vm in world.machines.values():
        if vm.state in OCCUPIES_MEMORY:
            _stop_with_host(world, vm)
            was_running.append(vm)
        vm.transition, vm.busy_until = None, 0.0
    world.boots += 1
    world.booted_at = world.now
    world.locks.clear()
    world.jobs.clear()
    world.mounted.clear()
    world.processes.clear()
    world.note("System", 6005, "The Event log service was started.")
    for vm in world.machines.values():
        if vm.settings.start_action == "Start" or (vm.settings.start_action == "StartIfRunning" and vm in was_running):
            start(world, vm)


def _stop_with_host(world: World, vm: VirtualMachine) -> None:
    if vm.settings.stop_action == "Save" and vm.state in (StateName.Running, StateName.Paused):
        if vm.state == StateName.Running:
            vm.resumption = put_aside(vm, world.now)
        vm.life = new_id()
        vm.state = StateName.Saved
        return
    mark_dead(vm)
    vm.state = StateName.Off
