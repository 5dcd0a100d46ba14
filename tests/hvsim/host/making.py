"""Making and removing machines, and attaching disks to them."""

from __future__ import annotations

from tests.hvsim.host.configuration import configuration_files, remove_configuration, write_configuration
from tests.hvsim.host.disk_files import chain_paths, open_chain
from tests.hvsim.host.failures import (
    FILE_EXISTS,
    NOT_FOUND,
    SHARING_VIOLATION,
    HostFailure,
    invalid_argument,
    invalid_state,
    operation_failed,
)
from tests.hvsim.host.locale import default_services, text
from tests.hvsim.host.locks import writers
from tests.hvsim.host.machines import HardDrive, NetworkAdapter, Processor, Ram, Settings, VirtualMachine, new_id
from tests.hvsim.host.merging import drives_of, referenced, request_merge
from tests.hvsim.host.state import World
from tests.hvsim.host.states import OFF, StateName

CONTROLLERS = 4
LOCATIONS = 64
"""SCSI controllers of a machine and places on each."""
VERSIONS = {
    "2019": ("5.0", "6.2", "7.0", "7.1", "8.0", "8.1", "8.2", "8.3", "9.0"),
    "2022": ("8.0", "8.1", "8.2", "8.3", "9.0", "9.1", "9.2", "9.3", "10.0"),
    "2025": ("8.0", "8.1", "8.2", "8.3", "9.0", "9.1", "9.2", "9.3", "10.0", "10.5", "11.0", "12.0"),
}
"""Configuration versions that hosts support, the default last."""
DEFAULT_PATHS = {
    "machines": "C:\\ProgramData\\Microsoft\\Windows\\Hyper-V",
    "disks": "C:\\Users\\Public\\Documents\\Hyper-V\\Virtual Hard Disks",
}


def default_path(world: World, kind: str) -> str:
    """Where machines or disks go when no path is given."""
    return world.paths.get(kind, DEFAULT_PATHS[kind])


def default_settings(world: World, name: str, generation: int, memory: int | None) -> Settings:
    """The settings of a new machine: clients switch automatic checkpoints and dynamic memory on."""
    client = world.options.edition == "client"
    settings = Settings(name=name, generation=generation, version=VERSIONS[world.options.version][-1])
    settings.ram = Ram(dynamic=client) if memory is None else Ram(startup=memory, dynamic=client)
    settings.processor = Processor(count=1)
    settings.services = dict(default_services())
    settings.automatic_checkpoints = client
    settings.adapters = [NetworkAdapter(name=text("Network Adapter", world.options.culture))]
    return settings


def add_machine(world: World, settings: Settings, folder: str) -> VirtualMachine:
    """Register a new machine whose files go into `folder`. Raises `HostFailure` when a file is in the way."""
    path = world.drives.normal(folder)
    if world.drives.resolve(path).is_file():
        raise operation_failed(f"Failed to create '{path}'. The file exists", FILE_EXISTS, settings.name)
    vm = VirtualMachine(new_id(), settings, path, world.now, snapshot_path=path)
    write_configuration(world, vm)
    world.machines[vm.id] = vm
    return vm


def attach(world: World, vm: VirtualMachine, path: str, controller: int | None, location: int | None) -> HardDrive:
    """Attach a disk, at the first free place unless one is named. Machines of generation 2 take disks while they run.

    Raises `HostFailure`: no such disk, broken chain, place taken or beyond 4 controllers of 64 places, disk in use, or
    attached to this machine already. A disk that cannot be opened leaves an empty drive behind, as on a real host.
    """
    drives = world.drives
    if vm.state not in (*OFF, StateName.Running, StateName.Paused):
        raise invalid_state(f"Failed to add device 'Virtual Hard Disk' to '{vm.name}' in its current state.", vm.name)
    drive = HardDrive("", *_place(vm, controller, location))
    path = drives.normal(path)
    if not drives.exists(path):
        vm.settings.drives.append(drive)
        raise operation_failed(
            f"Failed to add device 'Virtual Hard Disk'. Attachment '{path}' not found. Error: 'The system cannot find "
            f"the file specified.'",
            NOT_FOUND,
            vm.name,
        )
    if any(drives.key(one.path) == drives.key(path) for one in vm.settings.drives if one.path):
        raise operation_failed(
            f"Failed to add device 'Virtual Hard Disk'. The disk '{path}' is already connected to the virtual machine "
            f"'{vm.name}'. Remove the disk from the virtual machine and try again",
            FILE_EXISTS,
            vm.name,
        )
    open_chain(drives, path)
    if drives.key(path) in writers(world):
        raise operation_failed(
            f"Failed to add device 'Virtual Hard Disk'. The process cannot access the file '{path}' because it is "
            f"being used by another process.",
            SHARING_VIOLATION,
            vm.name,
        )
    drive.path = path
    vm.settings.drives.append(drive)
    return drive


def _place(vm: VirtualMachine, controller: int | None, location: int | None) -> tuple[int, int]:
    taken = {(drive.controller, drive.location) for drive in vm.settings.drives}
    controllers = range(vm.settings.controllers) if controller is None else (controller,)
    locations = range(LOCATIONS) if location is None else (location,)
    for number in controllers:
        for place in locations:
            if number not in range(vm.settings.controllers) or place not in range(LOCATIONS):
                raise invalid_argument(f"'{vm.name}' has no controller {number} with a location {place}.", vm.name)
            if (number, place) not in taken:
                return number, place
    raise HostFailure(
        f"Failed to add device 'Virtual Hard Disk' to '{vm.name}': the controller location is already in use.",
        error_id="InvalidOperation",
        category="InvalidOperation",
        target=vm.name,
    )


def all_disks(world: World, vm: VirtualMachine) -> list[str]:
    """Every disk of a machine and of its checkpoints, with the parents."""
    paths = [path for drive in drives_of(vm) if drive.path for path in chain_paths(world.drives, drive.path)]
    return list(dict.fromkeys(paths))


def remove_machine(world: World, vm: VirtualMachine) -> None:
    """Unregister a machine that is off or saved: its disks stay, those of its checkpoints are merged in time.

    Raises `HostFailure` in any other state.
    """
    if vm.state not in (*OFF, StateName.Saved, StateName.SavedCritical):
        raise invalid_state(
            f"The operation cannot be performed while the virtual machine is in its current state. '{vm.name}' "
            f"(Virtual machine ID {vm.id.upper()})",
            vm.name,
        )
    files = configuration_files(vm)
    vm.checkpoints.clear()
    vm.current = None
    request_merge(world, vm)
    del world.machines[vm.id]
    remove_configuration(world, files)
    for merge in world.merges:
        if merge.machine == vm.id:
            merge.frozen, merge.keep = list(vm.frozen), sorted(referenced(vm))
