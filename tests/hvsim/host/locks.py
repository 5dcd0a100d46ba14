"""Which files of the host somebody holds open: running machines, merges, mounts, and locks that outlive their cause."""

from __future__ import annotations

from tests.hvsim.host.configuration import configuration_files
from tests.hvsim.host.disk_files import chain_paths
from tests.hvsim.host.failures import sharing_violation
from tests.hvsim.host.state import World
from tests.hvsim.host.states import OCCUPIES_MEMORY
from tests.hvsim.host.strikes import strike


def holders(world: World) -> dict[str, str]:
    """Every file held open, by its `Drives.key`, with who holds it in words."""
    drives = world.drives
    held = {lock.path: lock.reason for lock in world.locks}
    for disk in world.mounted:
        held |= {drives.key(path): "mounted on the host" for path in chain_paths(drives, disk.path)}
    for merge in world.merges:
        held |= {drives.key(path): "being merged" for path in (*merge.frozen, *merge.keep)}
    for vm in world.machines.values():
        held |= {drives.key(path): f"configuration of {vm.name}" for path in configuration_files(vm)}
        if vm.state in OCCUPIES_MEMORY:
            for drive in vm.settings.drives:
                held |= {drives.key(path): f"in use by {vm.name}" for path in chain_paths(drives, drive.path)}
    return held


def writers(world: World) -> dict[str, str]:
    """Disks that a running machine, a merge, a mount or a lock keeps from being opened for writing, with its holder.

    Parents in use are not among them: any number of machines read them.
    """
    drives = world.drives
    held = {lock.path: lock.reason for lock in world.locks}
    held |= {drives.key(disk.path): "mounted on the host" for disk in world.mounted}
    for vm in world.machines.values():
        if vm.state in OCCUPIES_MEMORY:
            held |= {drives.key(drive.path): f"in use by {vm.name}" for drive in vm.settings.drives if drive.path}
    return held


def refuse_if_held(world: World, path: str) -> None:
    """Raise a sharing violation when a file, or any file in the folder at `path`, is held open.

    For whoever deletes, moves or overwrites files of the host.
    """
    if strike(world, "sharing-violation", on="Remove-Item"):
        raise sharing_violation(path)
    key = world.drives.key(path)
    for held in sorted(holders(world)):
        if (held == key or held.startswith(key.rstrip("\\") + "\\")) and world.drives.exists(held):
            raise sharing_violation(path if held == key else world.drives.windows(world.drives.resolve(held)))
