"""Checkpoints of a machine: a tree of points, each holding settings, frozen disks and perhaps memory."""

from __future__ import annotations

import copy
import re
import uuid
from pathlib import PureWindowsPath

from tests.hvsim.host.capacity import refuse_without_disk
from tests.hvsim.host.configuration import configuration_files, remove_configuration, write_configuration
from tests.hvsim.host.disk_files import EMPTY_FILE, new_child
from tests.hvsim.host.failures import HostFailure, invalid_state, state_conflict
from tests.hvsim.host.machines import (
    NEVER,
    Checkpoint,
    HardDrive,
    Resumption,
    VirtualMachine,
    new_id,
    readiness,
)
from tests.hvsim.host.merging import merge_of, referenced, request_merge
from tests.hvsim.host.state import World
from tests.hvsim.host.states import OFF, OperationalStatus, StateName

MOST_CHECKPOINTS = 50
OPERATION_SECONDS = 1.0
"""How long taking and applying a checkpoint keep the machine's operational status busy (simulated)."""
SNAPSHOT_NAME = re.compile(r"_[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}$")


def put_aside(vm: VirtualMachine, now: float) -> Resumption:
    """How far the guest has come, to go on from there later."""
    return Resumption(
        heartbeat=max(0.0, vm.heartbeat_at - now),
        direct=max(0.0, vm.direct_at - now),
        login=max(0.0, vm.login_at - now),
        uptime=now - vm.booted_at,
        put_aside=now - (vm.clock_behind if now < vm.clock_synced_at else 0.0),
    )


def take(world: World, vm: VirtualMachine, name: str, *, automatic: bool = False) -> Checkpoint:
    """Take a checkpoint: freeze the disks, put new ones on top, and keep memory if its kind does.

    Raises `HostFailure` when checkpoints are disabled, when there are 50, when the state does not allow it, or when a
    merge is going on (32775).
    """
    if vm.settings.checkpoint_type == "Disabled":
        raise HostFailure(
            f"Checkpoint operation failed. Checkpoints have been disabled for '{vm.name}'. "
            f"(Virtual machine ID {vm.id.upper()})",
            target=vm.name,
        )
    if vm.state not in (StateName.Running, StateName.Off, StateName.Saved, StateName.Paused):
        raise invalid_state(
            f"The operation cannot be performed while the virtual machine '{vm.name}' is in its current state.", vm.name
        )
    if len(vm.checkpoints) >= MOST_CHECKPOINTS:
        raise HostFailure(
            f"Checkpoint operation for '{vm.name}' failed: the maximum number of checkpoints ({MOST_CHECKPOINTS}) has "
            f"been reached. (Virtual machine ID {vm.id.upper()})",
            target=vm.name,
        )
    if merge_of(world, vm.id) is not None:
        raise state_conflict("take a checkpoint of", vm.name, vm.id)
    keeps_memory = _keeps_memory(world, vm)
    point = Checkpoint(
        id=new_id(),
        name=name,
        created=world.now,
        settings=copy.deepcopy(vm.settings),
        parent=vm.current,
        kind="Standard" if keeps_memory or vm.settings.checkpoint_type == "Standard" else "Production",
        automatic=automatic,
    )
    if keeps_memory:
        point.memory = copy.deepcopy(vm.memory)
        point.resumption = vm.resumption if vm.state == StateName.Saved else put_aside(vm, world.now)
    _freeze(world, vm)
    vm.checkpoints[point.id] = point
    vm.current = point.id
    write_configuration(world, vm)
    _be_busy(world, vm, OperationalStatus.CreatingSnapshot)
    return point


def _keeps_memory(world: World, vm: VirtualMachine) -> bool:
    """Standard checkpoints keep the memory there is; production ones only when the guest cannot prepare itself."""
    if vm.state in OFF:
        return False
    if vm.settings.checkpoint_type == "Standard":
        return True
    ready = readiness(vm, world.now).heartbeat and vm.settings.services.get("VSS", False)
    if ready:
        return False
    if vm.settings.checkpoint_type == "ProductionOnly":
        raise HostFailure(
            f"Checkpoint operation for '{vm.name}' failed. Production checkpoints cannot be created for '{vm.name}'. "
            f"(Virtual machine ID {vm.id.upper()})",
            target=vm.name,
        )
    return True


def _freeze(world: World, vm: VirtualMachine) -> None:
    refuse_without_disk(world, vm.top_disk, EMPTY_FILE * len(vm.settings.drives))
    for drive in vm.settings.drives:
        if drive.path:
            frozen = drive.path
            drive.path = _put_on_top(world, frozen)
            if frozen not in vm.frozen:
                vm.frozen.append(frozen)


def _put_on_top(world: World, frozen: str) -> str:
    """A new differencing disk beside the frozen one, named as Hyper-V names them."""
    path = PureWindowsPath(frozen)
    stem = SNAPSHOT_NAME.sub("", path.stem)
    top = str(path.with_name(f"{stem}_{str(uuid.uuid4()).upper()}.avhdx"))
    new_child(world.drives, top, frozen)
    return top


def restore(world: World, vm: VirtualMachine, point: Checkpoint) -> None:
    """Bring the machine back to a checkpoint: settings, notes and disks, and its memory in the state Saved.

    Raises `HostFailure` unless the machine is off or saved, and while a merge is going on (32775).
    """
    if vm.state not in (*OFF, StateName.Saved, StateName.SavedCritical):
        raise invalid_state(
            f"Failed to apply checkpoint '{point.name}' to '{vm.name}': the operation cannot be performed while the "
            f"virtual machine is in its current state. (Virtual machine ID {vm.id.upper()})",
            vm.name,
        )
    if merge_of(world, vm.id) is not None:
        raise state_conflict("apply a checkpoint to", vm.name, vm.id)
    settings = copy.deepcopy(point.settings)
    settings.name = vm.settings.name
    settings.drives = [
        HardDrive(_put_on_top(world, drive.path) if drive.path else "", drive.controller, drive.location, drive.id)
        for drive in settings.drives
    ]
    left = [drive.path for drive in vm.settings.drives]
    vm.settings = settings
    still_needed = {world.drives.key(path) for path in referenced(vm)}
    for path in left:
        if path.casefold().endswith(".avhdx") and world.drives.key(path) not in still_needed:
            world.drives.resolve(path).unlink(missing_ok=True)
    vm.frozen += [drive.path for drive in point.settings.drives if drive.path and drive.path not in vm.frozen]
    vm.current = point.id
    vm.life = new_id()
    vm.hung = False
    vm.memory = copy.deepcopy(point.memory) if point.memory is not None else {}
    vm.resumption = point.resumption
    vm.state = StateName.Off if point.memory is None else StateName.Saved
    vm.heartbeat_at = vm.direct_at = vm.login_at = vm.booted_at = NEVER
    _be_busy(world, vm, OperationalStatus.ApplyingSnapshot)
    request_merge(world, vm)


def remove(world: World, vm: VirtualMachine, points: list[Checkpoint]) -> None:
    """Remove checkpoints; their children move up to the nearest one left, and the disks are merged in time."""
    files = configuration_files(vm)
    for point in points:
        del vm.checkpoints[point.id]
        for other in (*vm.checkpoints.values(), *points):
            if other.parent == point.id:
                other.parent = point.parent
        if vm.current == point.id:
            vm.current = point.parent
    remaining = set(configuration_files(vm))
    remove_configuration(world, [path for path in files if path not in remaining])
    request_merge(world, vm)


def with_descendants(vm: VirtualMachine, point: Checkpoint) -> list[Checkpoint]:
    """A checkpoint and all that were taken after it, children before their parents."""
    below = [found for child in children(vm, point) for found in with_descendants(vm, child)]
    return [*below, point]


def children(vm: VirtualMachine, point: Checkpoint) -> list[Checkpoint]:
    """The checkpoints right below one."""
    return [other for other in vm.checkpoints.values() if other.parent == point.id]


def _be_busy(world: World, vm: VirtualMachine, status: OperationalStatus) -> None:
    vm.status = [int(OperationalStatus.InService), int(status)]
    vm.busy_until = world.now + OPERATION_SECONDS
