"""Checkpoint-VM, Get-, Restore-, Remove- and Rename-VMSnapshot."""

from __future__ import annotations

import time
from collections.abc import Iterable

from tests.hvsim.cmdlets.arguments import (
    checkpoint_of,
    each_machine,
    find_checkpoint,
    flag,
    given,
    identity,
    items,
    matcher,
    targets,
    text,
    texts,
    wait_until,
)
from tests.hvsim.cmdlets.machine_objects import checkpoint_object, machine_object
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.host import checkpoints
from tests.hvsim.host.failures import HostFailure, not_found
from tests.hvsim.host.machines import Checkpoint, VirtualMachine
from tests.hvsim.host.mishaps import before_change
from tests.hvsim.host.power import refuse_while_busy
from tests.hvsim.host.state import World

PATIENCE = 60.0
"""Simulated seconds that taking or applying a checkpoint may take."""


def _idle(world: World, vm: VirtualMachine) -> bool:
    return vm.busy_until <= world.now


def checkpoint_vm(inv: Invocation) -> Iterable[object]:
    """Checkpoint-VM: of the kind that CheckpointType says; the default name has the time in it."""

    def take(world: World, vm: VirtualMachine) -> Checkpoint:
        refuse_while_busy(world, vm, "take a checkpoint of")
        stamp = time.strftime("%m/%d/%Y - %H:%M:%S", time.gmtime(world.now))
        return checkpoints.take(world, vm, text(inv, "SnapshotName") or f"{vm.name} - ({stamp})")

    for one, point in each_machine(inv, take, name_parameter="Name"):
        wait_until(inv, one, _idle, PATIENCE)
        if flag(inv, "Passthru"):
            with inv.host.transaction() as world:
                vm = world.machine(one)
                yield checkpoint_object(world, vm, vm.checkpoints[point.id])


def get_snapshot(inv: Invocation) -> Iterable[object]:
    """Get-VMSnapshot: by id, of machines by name pattern, or the parent or children of one."""
    if given(inv, "Id"):
        with inv.host.transaction() as world:
            vm, point = find_checkpoint(world, text(inv, "Id").lower())
            return [checkpoint_object(world, vm, point)]
    if given(inv, "ChildOf") or given(inv, "ParentOf"):
        with inv.host.transaction() as world:
            return [checkpoint_object(world, vm, point) for vm, point in _relatives(inv, world)]
    wanted = matcher(text(inv, "Name", "*"))
    kind = text(inv, "SnapshotType", "Standard").casefold()

    def listed(world: World, vm: VirtualMachine) -> list[object]:
        if kind != "standard":
            return []
        points = sorted(vm.checkpoints.values(), key=lambda point: point.created)
        return [checkpoint_object(world, vm, point) for point in points if wanted(point.name)]

    return [one for _, objects in each_machine(inv, listed, changes=False) for one in objects]


def _relatives(inv: Invocation, world: World) -> list[tuple[VirtualMachine, Checkpoint]]:
    if given(inv, "ChildOf"):
        vm, point = checkpoint_of(world, inv.bound.values["ChildOf"])
        return [(vm, child) for child in checkpoints.children(vm, point)]
    child = inv.bound.values["ParentOf"]
    if identity(child) in world.machines:
        vm = world.machine(identity(child))
        parent = vm.current
    else:
        vm, point = checkpoint_of(world, child)
        parent = point.parent
    return [(vm, vm.checkpoints[parent])] if parent else []


def chosen(inv: Invocation, world: World) -> list[tuple[VirtualMachine, Checkpoint]]:
    """The checkpoints that objects, or names and a machine, stand for. Raises `HostFailure` for unknown ones."""
    if given(inv, "VMSnapshot"):
        return [checkpoint_of(world, value) for value in items(inv, "VMSnapshot")]
    ids, failures = targets(inv, world, "VMName")
    if failures:
        raise failures[0]
    found = []
    for vm in map(world.machine, ids):
        for name in texts(inv, "Name") or ["*"]:
            wanted = matcher(name)
            points = [(vm, point) for point in vm.checkpoints.values() if wanted(point.name)]
            if not points and "*" not in name:
                raise not_found(f"Unable to find a checkpoint with the name '{name}' of '{vm.name}'.", name)
            found += points
    return found


def restore_snapshot(inv: Invocation) -> Iterable[object]:
    """Restore-VMSnapshot: the machine must be off or saved; it is saved afterwards when the checkpoint has memory."""
    with inv.host.transaction() as world:
        found = chosen(inv, world)
        if len(found) != 1:
            raise HostFailure(
                f"Several checkpoints have the name '{text(inv, 'Name')}'.",
                error_id="InvalidParameter",
                category="InvalidArgument",
            )
        vm, point = found[0]
        before_change(world, vm, inv.command.name)
        refuse_while_busy(world, vm, "apply a checkpoint to")
        checkpoints.restore(world, vm, point)
        machine_id = vm.id
    wait_until(inv, machine_id, _idle, PATIENCE)
    if flag(inv, "Passthru"):
        with inv.host.transaction() as world:
            yield machine_object(world, world.machine(machine_id))


def remove_snapshot(inv: Invocation) -> Iterable[object]:
    """Remove-VMSnapshot: returns at once; the disks are merged afterwards."""
    with inv.host.transaction() as world:
        gone: dict[str, list[Checkpoint]] = {}
        seen = []
        for vm, point in chosen(inv, world):
            points = gone.setdefault(vm.id, [])
            for one in checkpoints.with_descendants(vm, point) if flag(inv, "IncludeAllChildSnapshots") else [point]:
                if one not in points:
                    points.append(one)
                    seen.append(checkpoint_object(world, vm, one))
        for machine_id, points in gone.items():
            vm = world.machine(machine_id)
            before_change(world, vm, inv.command.name)
            refuse_while_busy(world, vm, "delete a checkpoint of")
            checkpoints.remove(world, vm, points)
    return seen if flag(inv, "Passthru") else []


def rename_snapshot(inv: Invocation) -> Iterable[object]:
    """Rename-VMSnapshot."""
    with inv.host.transaction() as world:
        renamed = []
        for vm, point in chosen(inv, world):
            point.name = text(inv, "NewName")
            renamed.append(checkpoint_object(world, vm, point))
    return renamed if flag(inv, "Passthru") else []
