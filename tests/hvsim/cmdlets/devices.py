"""Hard disk drives and SCSI controllers of machines."""

from __future__ import annotations

from collections.abc import Iterable

from tests.hvsim.binder import NetObject
from tests.hvsim.cmdlets.arguments import each_machine, flag, given, identity, items, number, prop, text
from tests.hvsim.cmdlets.device_objects import hard_drive, scsi_controller
from tests.hvsim.cmdlets.settings import changer, require_off, viewer
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.host.failures import invalid_argument, not_found
from tests.hvsim.host.machines import HardDrive, Settings, VirtualMachine
from tests.hvsim.host.making import CONTROLLERS, attach
from tests.hvsim.host.power import refuse_while_busy
from tests.hvsim.host.state import World
from tests.hvsim.host.states import OFF, StateName


def get_hard_drive(inv: Invocation) -> Iterable[object]:
    """Get-VMHardDiskDrive: all drives, or those at a controller or location."""

    def view(world: World, vm: VirtualMachine, settings: Settings, point: str | None) -> list[object]:
        return [
            hard_drive(world, vm, drive, point)
            for drive in settings.drives
            if number(inv, "ControllerNumber", drive.controller) == drive.controller
            and number(inv, "ControllerLocation", drive.location) == drive.location
        ]

    if given(inv, "VMDriveController"):
        controllers = items(inv, "VMDriveController")
        return [drive for one in controllers if isinstance(one, NetObject) for drive in _drives_of(one)]
    return viewer(view)(inv)


def _drives_of(controller: NetObject) -> list[object]:
    drives = controller.property("Drives")
    return list(drives) if isinstance(drives, list | tuple) else []


def add_hard_drive(inv: Invocation) -> Iterable[object]:
    """Add-VMHardDiskDrive: a failed attach leaves an empty drive behind, as on a real host."""

    def add(inv: Invocation, world: World, vm: VirtualMachine) -> NetObject:
        controller = number(inv, "ControllerNumber") if given(inv, "ControllerNumber") else None
        if given(inv, "VMDriveController"):
            controller = int(str(prop(items(inv, "VMDriveController")[0], "ControllerNumber")))
        location = number(inv, "ControllerLocation") if given(inv, "ControllerLocation") else None
        if not given(inv, "Path"):
            raise invalid_argument("A path or a disk number has to be given.", vm.name)
        return hard_drive(world, vm, attach(world, vm, text(inv, "Path"), controller, location))

    return changer(add, by_device="VMDriveController")(inv)


def remove_hard_drive(inv: Invocation) -> Iterable[object]:
    """Remove-VMHardDiskDrive: the disk's file stays."""
    if given(inv, "VMHardDiskDrive"):
        removed = []
        for device in items(inv, "VMHardDiskDrive"):
            with inv.host.transaction() as world:
                vm = world.machine(identity(device, "VMId"))
                full = str(prop(device, "Id")).lower()
                removed.append(_remove(world, vm, next((one for one in vm.settings.drives if one.id in full), None)))
    else:
        place = number(inv, "ControllerNumber"), number(inv, "ControllerLocation")

        def remove(world: World, vm: VirtualMachine) -> NetObject:
            drives = vm.settings.drives
            return _remove(world, vm, next((one for one in drives if (one.controller, one.location) == place), None))

        removed = [result for _, result in each_machine(inv, remove)]
    return removed if flag(inv, "Passthru") else []


def _remove(world: World, vm: VirtualMachine, drive: HardDrive | None) -> NetObject:
    refuse_while_busy(world, vm, "remove a drive of")
    if drive is None:
        raise not_found(f"The hard disk drive was not found on '{vm.name}'.", vm.name)
    if vm.state not in (*OFF, StateName.Running, StateName.Paused):
        require_off(vm, "remove a drive of")
    shown = hard_drive(world, vm, drive)
    vm.settings.drives.remove(drive)
    return shown


def get_controller(inv: Invocation) -> Iterable[object]:
    """Get-VMScsiController."""

    def view(world: World, vm: VirtualMachine, settings: Settings, _point: str | None) -> list[object]:
        wanted = range(settings.controllers)
        if given(inv, "ControllerNumber"):
            wanted = range(number(inv, "ControllerNumber"), number(inv, "ControllerNumber") + 1)
        return [scsi_controller(world, vm, one) for one in wanted if one < settings.controllers]

    return viewer(view)(inv)


def _add_controller(_inv: Invocation, world: World, vm: VirtualMachine) -> NetObject:
    require_off(vm, "add a SCSI controller to")
    if vm.settings.controllers >= CONTROLLERS:
        raise invalid_argument(f"'{vm.name}' has {CONTROLLERS} SCSI controllers, which is the most.", vm.name)
    vm.settings.controllers += 1
    return scsi_controller(world, vm, vm.settings.controllers - 1)


add_controller = changer(_add_controller)


def get_dvd_drive(inv: Invocation) -> Iterable[object]:
    """Get-VMDvdDrive: machines of the simulated host have none."""
    return viewer(lambda _world, _vm, _settings, _point: [])(inv)
