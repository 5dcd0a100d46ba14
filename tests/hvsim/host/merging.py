"""Merging the disks of removed checkpoints, which goes on after the call that removed them."""

from __future__ import annotations

from dataclasses import dataclass

from tests.hvsim.host.disk_files import load, merge_down, relink
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.machines import HardDrive, VirtualMachine
from tests.hvsim.host.state import VMMS_LOG, Merge, World
from tests.hvsim.host.states import OperationalStatus
from tests.hvsim.host.strikes import field_strikes

MERGE_FAILED = 19100
"""Event of the management service: background disk merge failed."""


def merge_of(world: World, machine: str) -> Merge | None:
    """The merge that goes on for a machine, if any."""
    return next((merge for merge in world.merges if merge.machine == machine), None)


def request_merge(world: World, vm: VirtualMachine) -> None:
    """Begin to merge what no checkpoint of the machine needs any more; nothing happens when there is nothing."""
    if not unneeded(world, vm.frozen, referenced(vm)):
        return
    seconds = world.options.merge * (1 + 4 * world.draw() if field_strikes(world, "slow-merge") else 1)
    running = merge_of(world, vm.id)
    if running is not None:
        running.until = world.now + seconds
        return
    world.merges.append(
        Merge(vm.id, vm.name, world.now + seconds, world.now, list(vm.frozen), [drive.path for drive in drives_of(vm)])
    )
    vm.status = [int(OperationalStatus.InService), int(OperationalStatus.MergingDisks)]


def drives_of(vm: VirtualMachine) -> list[HardDrive]:
    """All attached drives, of now and of the checkpoints."""
    return [*vm.settings.drives, *(drive for point in vm.checkpoints.values() for drive in point.settings.drives)]


def referenced(vm: VirtualMachine) -> set[str]:
    """The disks that the machine or one of its checkpoints is attached to, as written."""
    return {drive.path for drive in drives_of(vm) if drive.path}


def unneeded(world: World, frozen: list[str], keep: set[str]) -> list[str]:
    """Of the disks that checkpoints had frozen, those that nothing refers to any more."""
    kept = {world.drives.key(path) for path in keep}
    return [path for path in frozen if world.drives.key(path) not in kept]


def finish_merge(world: World, merge: Merge) -> None:
    """Do what a merge was for. A broken chain ends it with an event of the management service, as on a real host."""
    world.merges.remove(merge)
    vm = world.machines.get(merge.machine)
    if vm is not None:
        vm.status = [int(OperationalStatus.Ok)]
    try:
        Collection(world, vm, merge).run()
    except HostFailure as failure:
        message = f"'{merge.name}' background disk merge failed to complete: {failure.message}"
        world.note(VMMS_LOG, MERGE_FAILED, message, level=2, machine=merge.machine)


@dataclass
class Collection:
    """One run over the disks of a machine, or of what is left of a removed one (`vm` is None)."""

    world: World
    vm: VirtualMachine | None
    merge: Merge

    def run(self) -> None:
        """Merge or remove until every disk left is needed, or has several children."""
        while (step := self._next()) is not None:
            path, children = step
            if children:
                self._fold(children[0], path)
            else:
                self._remove(path)

    def _frozen(self) -> list[str]:
        return self.vm.frozen if self.vm is not None else self.merge.frozen

    def _keep(self) -> set[str]:
        return referenced(self.vm) if self.vm is not None else set(self.merge.keep)

    def _next(self) -> tuple[str, list[str]] | None:
        for path in unneeded(self.world, self._frozen(), self._keep()):
            children = self._children(path)
            if len(children) == 1 or (not children and path.casefold().endswith(".avhdx")):
                return path, children
        return None

    def _children(self, path: str) -> list[str]:
        drives = self.world.drives
        key = drives.key(path)
        family = {drives.key(one): one for one in (*self._frozen(), *self._keep()) if one and drives.exists(one)}
        return [
            one
            for one in family.values()
            if (parent := load(drives, one).parent) is not None and drives.key(parent) == key
        ]

    def _fold(self, child: str, path: str) -> None:
        drives = self.world.drives
        grandchildren = self._children(child)
        merge_down(drives, child)
        for grandchild in grandchildren:
            relink(drives, grandchild, path)
        self._rename(child, path)

    def _rename(self, old: str, new: str) -> None:
        key = self.world.drives.key(old)
        frozen = self._frozen()
        child_was_frozen = any(self.world.drives.key(one) == key for one in frozen)
        frozen[:] = [one for one in frozen if self.world.drives.key(one) != key]
        if not child_was_frozen:
            frozen[:] = [one for one in frozen if self.world.drives.key(one) != self.world.drives.key(new)]
        self.merge.keep = [new if self.world.drives.key(one) == key else one for one in self.merge.keep if one]
        for drive in drives_of(self.vm) if self.vm is not None else []:
            if drive.path and self.world.drives.key(drive.path) == key:
                drive.path = new

    def _remove(self, path: str) -> None:
        self.world.drives.resolve(path).unlink(missing_ok=True)
        self._frozen().remove(path)
