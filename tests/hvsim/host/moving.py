"""Exports of machines and checkpoints, and machines made from them."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path, PureWindowsPath

from tests.hvsim.host.booting import mark_dead
from tests.hvsim.host.capacity import refuse_without_disk
from tests.hvsim.host.configuration import write_configuration, write_export
from tests.hvsim.host.disk_files import chain_paths, load, relink
from tests.hvsim.host.failures import FILE_EXISTS, HostFailure, invalid_argument, operation_failed
from tests.hvsim.host.machines import NEVER, Checkpoint, VirtualMachine, new_id
from tests.hvsim.host.making import all_disks
from tests.hvsim.host.merging import drives_of
from tests.hvsim.host.records import decode
from tests.hvsim.host.state import World
from tests.hvsim.host.states import StateName

DISKS = "Virtual Hard Disks"


def export(world: World, vm: VirtualMachine, path: str) -> str:
    """Write a machine with its disks and checkpoints below ``path\\NAME``; returns that folder.

    Raises `HostFailure` 0x80070050 when an export of that name, or two disks of one name, are in the way.
    """
    folder = f"{world.drives.normal(path)}\\{vm.name}"
    if world.drives.files_below(folder):
        raise operation_failed(
            f"Failed to export '{vm.name}': the folder '{folder}' has files in it", FILE_EXISTS, vm.name
        )
    disks = all_disks(world, vm)
    names = [PureWindowsPath(disk).name.casefold() for disk in disks]
    if len(set(names)) != len(names):
        raise operation_failed(
            f"Failed to export '{vm.name}': two of its virtual hard disks have the same file name", FILE_EXISTS, vm.name
        )
    refuse_without_disk(world, folder, sum(load(world.drives, disk).file_size for disk in disks))
    exported = copy.deepcopy(vm)
    if exported.state not in (StateName.Off, StateName.Saved):
        mark_dead(exported)
        exported.state = StateName.Off
    exported.transition, exported.busy_until = None, 0.0
    _bring_disks(world, exported, disks, f"{folder}\\{DISKS}")
    write_export(world, exported, folder)
    return folder


def export_point(world: World, vm: VirtualMachine, point: Checkpoint, path: str) -> str:
    """Write a checkpoint as a machine of its own, which has no checkpoints."""
    single = copy.deepcopy(vm)
    single.settings = copy.deepcopy(point.settings)
    single.settings.name = point.name
    single.checkpoints, single.current, single.frozen = {}, None, []
    mark_dead(single)
    single.state = StateName.Off if point.memory is None else StateName.Saved
    single.memory, single.resumption = copy.deepcopy(point.memory or {}), point.resumption
    return export(world, single, path)


def _bring_disks(world: World, vm: VirtualMachine, disks: list[str], folder: str) -> None:
    """Copy disks into a folder, their parents before them, and let the machine use the copies."""
    drives = world.drives
    drives.resolve(folder).mkdir(parents=True, exist_ok=True)
    moved: dict[str, str] = {}
    for disk in sorted(disks, key=lambda one: len(chain_paths(drives, one))):
        target = f"{folder}\\{PureWindowsPath(disk).name}"
        real = drives.resolve(target)
        shutil.copyfile(drives.resolve(disk), real)
        moved[drives.key(disk)] = target
        parent = load(drives, target).parent
        if parent is not None and drives.key(parent) in moved:
            relink(drives, target, moved[drives.key(parent)])
    for drive in drives_of(vm):
        drive.path = moved.get(drives.key(drive.path), drive.path) if drive.path else ""
    vm.frozen = [moved.get(drives.key(path), path) for path in vm.frozen]


def import_copy(world: World, configuration: str, paths: ImportPaths, *, new_identity: bool) -> VirtualMachine:
    """Make a machine from an export, with copies of its files below `paths`.

    Raises `HostFailure` when the machine's id is taken and no new one is wanted, or a disk would overwrite another.
    """
    vm = read_export(world, configuration)
    export_folder = str(PureWindowsPath(world.drives.normal(configuration)).parent.parent)
    if new_identity:
        _rename_identities(vm)
    _refuse_taken(world, vm)
    disks = all_disks(world, vm)
    folder = paths.disks or f"{export_folder}\\{DISKS}"
    for disk in disks:
        target = f"{folder}\\{PureWindowsPath(disk).name}"
        if world.drives.exists(target):
            raise operation_failed(
                f"Import failed. Unable to copy '{disk}' to '{target}': the file exists", FILE_EXISTS, vm.name
            )
    refuse_without_disk(world, folder, sum(load(world.drives, disk).file_size for disk in disks))
    _bring_disks(world, vm, disks, folder)
    vm.path = world.drives.normal(paths.machine or export_folder)
    vm.snapshot_path = world.drives.normal(paths.snapshots or vm.path)
    return _registered(world, vm)


def import_in_place(world: World, configuration: str) -> VirtualMachine:
    """Register the machine of an export where it is."""
    vm = read_export(world, configuration)
    _refuse_taken(world, vm)
    vm.path = str(PureWindowsPath(world.drives.normal(configuration)).parent.parent)
    vm.snapshot_path = vm.path
    return _registered(world, vm)


class ImportPaths:
    """Where the files of an imported machine go; empty: beside the export's."""

    def __init__(self, machine: str = "", disks: str = "", snapshots: str = "") -> None:
        self.machine, self.disks, self.snapshots = machine, disks, snapshots


def read_export(world: World, configuration: str) -> VirtualMachine:
    """The machine that a .vmcx of an export holds. Raises `HostFailure` when it is no such file."""
    real: Path = world.drives.resolve(configuration)
    if not real.is_file():
        raise invalid_argument(f"The virtual machine configuration '{configuration}' was not found.", configuration)
    data = json.loads(real.read_text(encoding="utf-8"))
    if "settings" not in data:
        raise HostFailure(
            f"The operation failed: '{configuration}' is the configuration of a registered virtual machine.",
            target=configuration,
        )
    return decode(VirtualMachine, data)


def _rename_identities(vm: VirtualMachine) -> None:
    vm.id = new_id()
    renamed = {point: new_id() for point in vm.checkpoints}
    for point in vm.checkpoints.values():
        point.id = renamed[point.id]
        point.parent = renamed.get(point.parent or "")
    vm.checkpoints = {point.id: point for point in vm.checkpoints.values()}
    vm.current = renamed.get(vm.current or "")


def _refuse_taken(world: World, vm: VirtualMachine) -> None:
    if vm.id in world.machines:
        raise HostFailure(
            f"Unable to import the virtual machine '{vm.name}': a machine with the same identifier ({vm.id.upper()}) "
            f"exists already.",
            error_id="OperationFailed",
            category="ResourceExists",
            target=vm.name,
        )


def _registered(world: World, vm: VirtualMachine) -> VirtualMachine:
    vm.created = world.now
    vm.heartbeat_at = vm.direct_at = vm.login_at = vm.booted_at = NEVER
    world.machines[vm.id] = vm
    write_configuration(world, vm)
    return vm
