"""Memory and disk space of the host: what machines and files take of them."""

from __future__ import annotations

from tests.hvsim.host.disk_files import read_disk
from tests.hvsim.host.failures import DISK_FULL, HostFailure, operation_failed, out_of_memory
from tests.hvsim.host.machines import VirtualMachine
from tests.hvsim.host.options import GIB
from tests.hvsim.host.state import World
from tests.hvsim.host.states import OCCUPIES_MEMORY, StateName

HOST_RESERVE = 2 * GIB
"""Memory that the management system keeps for itself."""
DISK_SUFFIXES = (".vhdx", ".avhdx", ".vhd", ".avhd")


def free_memory(world: World) -> int:
    """Bytes that machines can still be given."""
    taken = sum(vm.settings.ram.startup for vm in world.machines.values() if vm.state in OCCUPIES_MEMORY)
    return max(0, world.options.memory - HOST_RESERVE - taken)


def refuse_without_memory(world: World, vm: VirtualMachine) -> None:
    """Raise the out-of-memory `HostFailure` (0x8007000E) when a machine's startup memory is not there."""
    if vm.settings.ram.startup > free_memory(world):
        raise out_of_memory(vm.name, vm.id)


def free_disk(world: World) -> int:
    """Bytes free on C:, with the files that hold the memory of saved machines and of checkpoints taken off."""
    if world.disk_filled:
        return 0
    return max(0, world.options.disk - _files(world) - _saved_memory(world))


def refuse_without_disk(world: World, path: str, size: int) -> None:
    """Raise the disk-full `HostFailure` (0x80070070) when `size` bytes at `path` have no room."""
    if size > free_disk(world):
        raise operation_failed(
            f"Failed to create the virtual hard disk. The system failed to create '{path}'. There is not enough space "
            f"on the disk.",
            DISK_FULL,
            path,
        )


def _files(world: World) -> int:
    total = 0
    for file in world.drives.files_below("C:\\"):
        if file.suffix.casefold() in DISK_SUFFIXES:
            try:
                total += read_disk(file, str(file)).file_size
                continue
            except HostFailure:
                pass
        total += file.stat().st_size
    return total


def _saved_memory(world: World) -> int:
    total = 0
    for vm in world.machines.values():
        if vm.state == StateName.Saved:
            total += vm.settings.ram.startup
        total += sum(point.settings.ram.startup for point in vm.checkpoints.values() if point.memory is not None)
    return total
