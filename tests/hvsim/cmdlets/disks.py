"""New-VHD, Get-VHD, Test-VHD, Mount-VHD, Dismount-VHD, Merge-VHD, Resize-VHD, Set-VHD, Convert-VHD, Optimize-VHD."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import PureWindowsPath

from tests.hvsim.binder import NetObject
from tests.hvsim.cmdlets.arguments import flag, given, items, number, text, texts
from tests.hvsim.cmdlets.values import HOST_NAME, enum, net_object
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.engine.values import UInt32, UInt64
from tests.hvsim.host import disk_files
from tests.hvsim.host.capacity import refuse_without_disk
from tests.hvsim.host.disk_files import EMPTY_FILE, DiskFile
from tests.hvsim.host.failures import (
    FILE_EXISTS,
    PARENT_CHANGED,
    HostFailure,
    access_denied,
    invalid_argument,
    operation_failed,
    sharing_violation,
)
from tests.hvsim.host.locks import holders, writers
from tests.hvsim.host.state import MountedDisk, World

SUFFIXES = (".vhdx", ".vhd", ".avhdx", ".avhd")
OPENING = 0.4
"""Simulated seconds for which a parent is held while a child of it is made, in field mode."""
SMALLEST = 3 * 1024**2
LARGEST = 64 * 1024**4
MAKING_CHILD = "a child of it is being made"


def disk_object(world: World, path: str) -> NetObject:
    """A VirtualHardDisk. Raises `HostFailure` for a missing file, one that is no disk, and a broken chain."""
    layers = disk_files.open_chain(world.drives, path)
    disk = layers[0].file
    mounted = next((one for one in world.mounted if world.drives.key(one.path) == world.drives.key(path)), None)
    return net_object(
        ("Microsoft.Vhd.PowerShell.VirtualHardDisk",),
        {
            "ComputerName": HOST_NAME,
            "Path": layers[0].path,
            "VhdFormat": enum("VhdFormat", "VHD" if layers[0].path.casefold().endswith("vhd") else "VHDX"),
            "VhdType": enum("VhdType", disk.kind),
            "FileSize": UInt64(disk.file_size),
            "Size": UInt64(disk.size),
            "MinimumSize": None,
            "LogicalSectorSize": UInt32(512),
            "PhysicalSectorSize": UInt32(4096),
            "BlockSize": UInt32(2 * 1024**2 if disk.kind == "Differencing" else 32 * 1024**2),
            "ParentPath": disk.parent or "",
            "DiskIdentifier": disk.disk.upper(),
            "FragmentationPercentage": None,
            "Alignment": 1,
            "Attached": mounted is not None or world.drives.key(path) in writers(world),
            "DiskNumber": None if mounted is None else UInt32(mounted.number),
            "IsPMEMCompatible": False,
            "AddressAbstractionType": "None",
            "Number": None if mounted is None else UInt32(mounted.number),
        },
        f"VirtualHardDisk ({layers[0].path})",
    )


def refuse_existing(world: World, path: str) -> None:
    """Raise `HostFailure` 0x80070050 when a file is where a new disk is to go, or when that is no name for a disk."""
    if PureWindowsPath(path).suffix.casefold() not in SUFFIXES[:2]:
        raise invalid_argument(f"The file name extension of '{path}' is not .vhdx or .vhd.", path)
    real = world.drives.resolve(path)
    if real.exists():
        raise operation_failed(
            f"Failed to create the virtual hard disk. The system failed to create '{path}'. The file exists",
            FILE_EXISTS,
            path,
        )
    if not real.parent.is_dir():
        real.parent.mkdir(parents=True)


def new_vhd(inv: Invocation) -> Iterable[object]:
    """New-VHD: dynamic, fixed, or a differencing disk over a parent that is no checkpoint's."""
    made = []
    for path in texts(inv, "Path"):
        with inv.host.transaction() as world:
            made.append(_new_vhd(inv, world, world.drives.normal(path)))
    return made


def _new_vhd(inv: Invocation, world: World, path: str) -> NetObject:
    if given(inv, "ParentPath"):
        refuse_existing(world, path)
        _new_child(inv, world, path, world.drives.normal(text(inv, "ParentPath")))
    else:
        make_empty(world, path, number(inv, "SizeBytes"), fixed=flag(inv, "Fixed"))
    return disk_object(world, path)


def make_empty(world: World, path: str, size: int, *, fixed: bool = False) -> None:
    """Make a disk with nothing on it."""
    refuse_existing(world, path)
    if not SMALLEST <= size <= LARGEST:
        raise invalid_argument(f"{size} bytes is not a valid size of a virtual hard disk.", path)
    refuse_without_disk(world, path, size if fixed else EMPTY_FILE)
    disk_files.store(world.drives, path, DiskFile(size=size, kind="Fixed" if fixed else "Dynamic"))


def _new_child(inv: Invocation, world: World, path: str, parent: str) -> None:
    if PureWindowsPath(parent).suffix.casefold().startswith(".avhd"):
        raise invalid_argument(
            f"Failed to create the virtual hard disk. '{parent}' belongs to a checkpoint and cannot be a parent.", path
        )
    key = world.drives.key(parent)
    if key in writers(world) or any(lock.path == key and lock.reason == MAKING_CHILD for lock in world.locks):
        raise sharing_violation(parent)
    refuse_without_disk(world, path, EMPTY_FILE)
    size = number(inv, "SizeBytes") if given(inv, "SizeBytes") else None
    disk_files.new_child(world.drives, path, parent, size)
    if world.options.field:
        world.hold(parent, OPENING, MAKING_CHILD)


def get_vhd(inv: Invocation) -> Iterable[object]:
    """Get-VHD: by paths, of machines, or of a disk attached to the host."""
    with inv.host.transaction() as world:
        if given(inv, "VMId"):
            machines = [world.machine(str(one)) for one in items(inv, "VMId")]
            paths = [drive.path for vm in machines for drive in vm.settings.drives if drive.path]
        elif given(inv, "DiskNumber"):
            paths = [one.path for one in world.mounted if one.number == number(inv, "DiskNumber")]
        else:
            paths = texts(inv, "Path")
        return [disk_object(world, path) for path in paths]


def test_vhd(inv: Invocation) -> Iterable[object]:
    """Test-VHD: True, or False with an error when the disk or its chain cannot be used."""
    verdicts = []
    for path in texts(inv, "Path"):
        try:
            with inv.host.transaction() as world:
                disk_files.open_chain(world.drives, path)
        except HostFailure as failure:
            inv.error(failure)
            verdicts.append(False)
        else:
            verdicts.append(True)
    return verdicts


test_vhd.__test__ = False  # type: ignore[attr-defined]


def _require_administrator(world: World) -> None:
    """Attaching and resizing disks want a full administrator."""
    if world.options.rights != "administrator":
        raise access_denied()


def _refuse_held(world: World, path: str) -> None:
    if world.drives.key(path) in holders(world):
        raise sharing_violation(path)


def mount_vhd(inv: Invocation) -> Iterable[object]:
    """Mount-VHD: attaches a disk to the host itself."""
    with inv.host.transaction() as world:
        _require_administrator(world)
        shown = []
        for path in texts(inv, "Path"):
            disk_files.open_chain(world.drives, path)
            _refuse_held(world, path)
            taken = {one.number for one in world.mounted}
            free = next(candidate for candidate in range(1, 1000) if candidate not in taken)
            world.mounted.append(MountedDisk(world.drives.normal(path), free, flag(inv, "ReadOnly")))
            shown.append(disk_object(world, path))
    return shown if flag(inv, "Passthru") else []


def dismount_vhd(inv: Invocation) -> Iterable[object]:
    """Dismount-VHD: by path or disk number. One that is not attached is an error."""
    with inv.host.transaction() as world:
        _require_administrator(world)
        keys = {world.drives.key(path) for path in texts(inv, "Path")}
        wanted = [
            one
            for one in world.mounted
            if world.drives.key(one.path) in keys
            or (given(inv, "DiskNumber") and one.number == number(inv, "DiskNumber"))
        ]
        if not wanted:
            raise invalid_argument("The virtual hard disk is not attached to this host.")
        world.mounted = [one for one in world.mounted if one not in wanted]
        shown = [disk_object(world, one.path) for one in wanted]
    return shown if flag(inv, "Passthru") else []


def merge_vhd(inv: Invocation) -> Iterable[object]:
    """Merge-VHD: puts a child into its parent, down to -DestinationPath; offline only."""
    with inv.host.transaction() as world:
        path = world.drives.normal(text(inv, "Path"))
        chain = disk_files.open_chain(world.drives, path)
        goal = text(inv, "DestinationPath") or (chain[1].path if len(chain) > 1 else "")
        keys = [world.drives.key(layer.path) for layer in chain[1:]]
        if not goal or world.drives.key(goal) not in keys:
            raise invalid_argument(f"'{goal or path}' is not a parent of '{path}'.", path)
        for layer in chain[: keys.index(world.drives.key(goal)) + 2]:
            _refuse_held(world, layer.path)
        while world.drives.key(path) != world.drives.key(goal):
            path = disk_files.merge_down(world.drives, path)
        return [disk_object(world, path)] if flag(inv, "Passthru") else []


def resize_vhd(inv: Invocation) -> Iterable[object]:
    """Resize-VHD: wants a full administrator; disks of checkpoints keep their size."""
    with inv.host.transaction() as world:
        _require_administrator(world)
        for path in texts(inv, "Path"):
            _refuse_held(world, path)
            disk = disk_files.load(world.drives, path)
            disk.size = number(inv, "SizeBytes", disk.size)
            disk_files.store(world.drives, path, disk)
        return [disk_object(world, path) for path in texts(inv, "Path")] if flag(inv, "Passthru") else []


def set_vhd(inv: Invocation) -> Iterable[object]:
    """Set-VHD: another parent (-IgnoreIdMismatch: whatever it is), or a new disk identifier."""
    with inv.host.transaction() as world:
        path = text(inv, "Path")
        _refuse_held(world, path)
        disk = disk_files.load(world.drives, path)
        if given(inv, "ParentPath"):
            parent = disk_files.load(world.drives, text(inv, "ParentPath"))
            if parent.id != disk.parent_id and not flag(inv, "IgnoreIdMismatch"):
                raise operation_failed(
                    "There is a mismatch in the identifiers of the parent virtual hard disk and differencing disk",
                    PARENT_CHANGED,
                    path,
                )
            disk_files.relink(world.drives, path, text(inv, "ParentPath"))
        if flag(inv, "ResetDiskIdentifier"):
            disk.disk = str(uuid.uuid4())
            disk_files.store(world.drives, path, disk)
        return [disk_object(world, path)] if flag(inv, "Passthru") else []


def convert_vhd(inv: Invocation) -> Iterable[object]:
    """Convert-VHD: a copy of a disk with its parents folded in."""
    with inv.host.transaction() as world:
        source, target = text(inv, "Path"), world.drives.normal(text(inv, "DestinationPath"))
        refuse_existing(world, target)
        _refuse_held(world, source)
        chain = disk_files.open_chain(world.drives, source)
        files = {key: entry for layer in reversed(chain) for key, entry in layer.file.files.items()}
        top = chain[0].file
        kind = text(inv, "VHDType") or ("Dynamic" if top.kind == "Differencing" else top.kind)
        flat = DiskFile(
            size=top.size,
            kind="Fixed" if kind == "Fixed" else "Dynamic",
            system=top.system,
            foreign=chain[-1].file.foreign,
            files={key: entry for key, entry in files.items() if entry is not None},
        )
        refuse_without_disk(world, target, flat.file_size)
        disk_files.store(world.drives, target, flat)
        if flag(inv, "DeleteSource"):
            world.drives.resolve(source).unlink()
        return [disk_object(world, target)] if flag(inv, "Passthru") else []


def optimize_vhd(inv: Invocation) -> Iterable[object]:
    """Optimize-VHD: nothing to gain here, but only for a disk that nobody uses."""
    with inv.host.transaction() as world:
        for path in texts(inv, "Path"):
            disk_files.open_chain(world.drives, path)
            _refuse_held(world, path)
        return [disk_object(world, path) for path in texts(inv, "Path")] if flag(inv, "Passthru") else []
