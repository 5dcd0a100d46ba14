"""A machine's way between its states: each change begins now and is done some simulated seconds later."""

from __future__ import annotations

import time

from tests.hvsim.host.booting import boot, mark_dead, resume_memory
from tests.hvsim.host.capacity import refuse_without_memory
from tests.hvsim.host.checkpoints import put_aside, remove, take
from tests.hvsim.host.disk_files import open_chain
from tests.hvsim.host.failures import (
    ACCESS_DENIED,
    NOT_READY,
    SHARING_VIOLATION,
    HostFailure,
    invalid_state,
    operation_failed,
    state_conflict,
)
from tests.hvsim.host.locks import writers
from tests.hvsim.host.machines import Transition, VirtualMachine, new_id, readiness
from tests.hvsim.host.merging import merge_of
from tests.hvsim.host.state import WORKER_LOG, World
from tests.hvsim.host.states import OFF, StateName
from tests.hvsim.host.strikes import field_strikes
from tests.hvsim.host.switches import assign_macs

STARTING = 1.0
SHUTDOWN = 3.0
SAVING = 2.0
PAUSING = 0.3
TURNING_OFF = 0.3
LATE = 4.0
"""Simulated seconds of the changes, and how much later an event or the release of a file comes in field mode."""
ALREADY = "The virtual machine is already in the specified state."


def refuse_while_busy(world: World, vm: VirtualMachine, operation: str) -> None:
    """Raise 32775 while a job is pending, a change of state is under way or a checkpoint is being taken or applied."""
    pending = any(job.machine == vm.id for job in world.jobs)
    if pending or vm.transition is not None or vm.busy_until > world.now:
        raise state_conflict(operation, vm.name, vm.id)


def start(world: World, vm: VirtualMachine) -> bool:
    """Begin to start, resume or un-pause a machine; False when it runs already.

    Raises `HostFailure`: no memory, disks that cannot be opened, a key protector of another host, a wrong state.
    """
    if vm.state == StateName.Running:
        return False
    refuse_while_busy(world, vm, "start")
    if vm.state == StateName.Paused:
        _begin(world, vm, StateName.Resuming, StateName.Running, PAUSING, "unpause")
        return True
    if vm.state not in (StateName.Off, StateName.Saved):
        raise invalid_state(
            f"'{vm.name}' failed to start. The operation cannot be performed while the virtual machine is in its "
            f"current state. (Virtual machine ID {vm.id.upper()})",
            vm.name,
        )
    _refuse_to_start(world, vm)
    cause = "boot" if vm.state == StateName.Off else "resume"
    assign_macs(world, vm)
    if vm.settings.automatic_checkpoints:
        _take_automatic(world, vm)
    _begin(world, vm, StateName.Starting, StateName.Running, STARTING, cause)
    return True


def _refuse_to_start(world: World, vm: VirtualMachine) -> None:
    refuse_without_memory(world, vm)
    settings = vm.settings
    identity = f"(Virtual machine ID {vm.id.upper()})"
    held = writers(world)
    for drive in settings.drives:
        if not drive.path:
            continue
        try:
            open_chain(world.drives, drive.path)
        except HostFailure as failure:
            message = f"'{vm.name}' failed to start. {identity} {failure.message}"
            raise HostFailure(message, hresult=failure.hresult, target=vm.name) from failure
        if world.drives.key(drive.path) in held:
            message = f"'{vm.name}' Synthetic SCSI Controller: Failed to Power on. {identity} Attachment '{drive.path}'"
            reason = "The process cannot access the file because it is being used by another process."
            raise operation_failed(f"{message}: {reason}", SHARING_VIOLATION, vm.name)
        if world.drives.resolve(drive.path).stat().st_mode & 0o222 == 0:
            reason = "General access denied error"
            raise operation_failed(f"'{vm.name}' failed to start: '{drive.path}': {reason}", ACCESS_DENIED, vm.name)
    if settings.security.tpm and not settings.security.protector.startswith(world.guardian):
        raise HostFailure(
            f"'{vm.name}' failed to start. {identity} The key protector could not be unwrapped. Details are "
            f"included in the HostGuardianService-Client event log. (0x80070241).",
            hresult=0x80070241,
            target=vm.name,
        )
    if settings.processor.nested and not world.options.nested:
        raise HostFailure(
            f"'{vm.name}' failed to start. {identity} The virtual machine could not be started because this platform "
            f"does not support nested virtualization.",
            target=vm.name,
        )
    if not world.options.virtualization:
        raise HostFailure(
            f"'{vm.name}' failed to start. {identity} Virtual machine could not be started because the hypervisor is "
            f"not running.",
            target=vm.name,
        )


def turn_off(world: World, vm: VirtualMachine) -> bool:
    """Begin to cut a machine's power; False when it is off already. Works in every state but saved."""
    if vm.state in OFF:
        return False
    if vm.state in (StateName.Saved, StateName.SavedCritical):
        raise invalid_state(f"Failed to turn off '{vm.name}': the virtual machine is saved.", vm.name)
    if any(job.machine == vm.id for job in world.jobs):
        raise state_conflict("turn off", vm.name, vm.id)
    _begin(world, vm, StateName.Stopping, StateName.Off, TURNING_OFF, "turned off")
    return True


def shut_down(world: World, vm: VirtualMachine) -> bool:
    """Ask the guest to shut down; False when the machine is off already.

    Raises `HostFailure` while the guest boots (0x80070015), or when its shutdown service is switched off.
    """
    if vm.state in OFF:
        return False
    refuse_while_busy(world, vm, "shut down")
    if vm.state != StateName.Running:
        raise invalid_state(
            f"Failed to shut down '{vm.name}': the virtual machine is not in a state that allows this.", vm.name
        )
    if not vm.settings.services.get("Shutdown", False) or not (readiness(vm, world.now).heartbeat or vm.hung):
        raise operation_failed(
            f"Cannot stop virtual machine '{vm.name}' because the device is not ready. "
            f"(Virtual machine ID {vm.id.upper()})",
            NOT_READY,
            vm.name,
        )
    if not vm.hung:
        _begin(world, vm, StateName.Stopping, StateName.Off, SHUTDOWN, "shut down")
    return True


def save(world: World, vm: VirtualMachine) -> bool:
    """Begin to save a running or paused machine with its memory; False when it is saved already."""
    if vm.state == StateName.Saved:
        return False
    refuse_while_busy(world, vm, "save")
    if vm.state not in (StateName.Running, StateName.Paused):
        raise invalid_state(f"'{vm.name}' could not be saved: it is not running.", vm.name)
    if vm.settings.processor.nested and vm.memory.get("inner_machines"):
        raise HostFailure(f"'{vm.name}' could not be saved: machines run inside it.", target=vm.name)
    _begin(world, vm, StateName.Saving, StateName.Saved, SAVING, "saved")
    return True


def pause(world: World, vm: VirtualMachine) -> bool:
    """Begin to pause a running machine; False when it is paused already."""
    if vm.state == StateName.Paused:
        return False
    refuse_while_busy(world, vm, "pause")
    if vm.state != StateName.Running:
        raise invalid_state(f"'{vm.name}' could not be paused: it is not running.", vm.name)
    _begin(world, vm, StateName.Pausing, StateName.Paused, PAUSING, "paused")
    return True


def unpause(world: World, vm: VirtualMachine) -> bool:
    """Begin to resume a paused machine; False when it runs already."""
    if vm.state == StateName.Running:
        return False
    refuse_while_busy(world, vm, "resume")
    if vm.state not in (StateName.Paused, StateName.PausedCritical):
        raise invalid_state(f"'{vm.name}' could not be resumed: it is not paused.", vm.name)
    _begin(world, vm, StateName.Resuming, StateName.Running, PAUSING, "unpause")
    return True


def reset(world: World, vm: VirtualMachine) -> None:
    """Restart a running machine the hard way."""
    refuse_while_busy(world, vm, "reset")
    if vm.state not in (StateName.Running, StateName.Paused):
        raise invalid_state(f"'{vm.name}' could not be restarted: it is not running.", vm.name)
    world.log(WORKER_LOG, 18512, vm, f"'{vm.name}' was reset.")
    vm.state = StateName.Running
    boot(world, vm, world.now)


def discard_saved(world: World, vm: VirtualMachine) -> None:
    """Throw a saved state away: the machine is off."""
    refuse_while_busy(world, vm, "delete the saved state of")
    if vm.state not in (StateName.Saved, StateName.SavedCritical):
        raise invalid_state(f"'{vm.name}' has no saved state.", vm.name)
    mark_dead(vm)
    vm.state = StateName.Off


def _take_automatic(world: World, vm: VirtualMachine) -> None:
    """Take the automatic checkpoint of a start, and drop the one before it; disks that merge keep the old one."""
    if vm.settings.checkpoint_type == "Disabled" or merge_of(world, vm.id) is not None:
        return
    old = [point for point in vm.checkpoints.values() if point.automatic]
    stamp = time.strftime("%m/%d/%Y - %H:%M:%S", time.gmtime(world.now))
    take(world, vm, f"Automatic Checkpoint - {vm.name} - ({stamp})", automatic=True)
    if old:
        remove(world, vm, old)


def remove_automatic(world: World, vm: VirtualMachine) -> None:
    """Remove the automatic checkpoint of a machine, as an orderly shutdown does."""
    points = [point for point in vm.checkpoints.values() if point.automatic]
    if points:
        remove(world, vm, points)


def _begin(world: World, vm: VirtualMachine, between: StateName, to: StateName, seconds: float, cause: str) -> None:
    if between in (StateName.Saving, StateName.Pausing):
        vm.resumption = put_aside(vm, world.now)
    vm.state = between
    vm.transition = Transition(int(to), world.now + seconds, cause)


def finish_transition(world: World, vm: VirtualMachine) -> None:
    """Do what a change of state was for, at the moment it was due."""
    transition = vm.transition
    if transition is None:
        return
    vm.transition = None
    vm.state = transition.to
    match transition.cause:
        case "boot":
            world.log(WORKER_LOG, 18500, vm, f"'{vm.name}' started successfully.")
            boot(world, vm, transition.at)
        case "resume":
            world.log(WORKER_LOG, 18596, vm, f"'{vm.name}' was restored successfully.")
            resume_memory(world, vm, transition.at)
            vm.life = new_id()
        case "unpause":
            world.log(WORKER_LOG, 18518, vm, f"'{vm.name}' was resumed.")
            resume_memory(world, vm, transition.at)
        case "paused":
            world.log(WORKER_LOG, 18516, vm, f"'{vm.name}' was paused.")
        case "saved":
            world.log(WORKER_LOG, 18510, vm, f"'{vm.name}' was saved.")
            vm.life = new_id()
            _release_late(world, vm)
        case "turned off" | "shut down" | "shut down by guest":
            _ended(world, vm, transition.cause)


HALT_EVENTS = {
    "turned off": (18502, "was turned off."),
    "shut down": (18504, "was shut down."),
    "shut down by guest": (18508, "was shut down by the guest operating system."),
}


def _ended(world: World, vm: VirtualMachine, cause: str) -> None:
    mark_dead(vm)
    number, words = HALT_EVENTS[cause]
    event = world.log(WORKER_LOG, number, vm, f"'{vm.name}' {words}")
    if field_strikes(world, "late-event"):
        event.time = world.now + LATE
    _release_late(world, vm)
    if cause != "turned off":
        remove_automatic(world, vm)


def _release_late(world: World, vm: VirtualMachine) -> None:
    """In field mode the worker holds the disks for a while after the machine has gone off."""
    if field_strikes(world, "late-lock"):
        for drive in vm.settings.drives:
            if drive.path:
                world.hold(drive.path, LATE, f"the worker of {vm.name} has not let go yet")
