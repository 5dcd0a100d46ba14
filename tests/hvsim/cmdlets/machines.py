"""New-VM, Get-VM, Set-VM, Rename-VM, Remove-VM."""

from __future__ import annotations

from collections.abc import Iterable

from tests.hvsim.cmdlets.arguments import each_machine, flag, given, named, number, text, texts
from tests.hvsim.cmdlets.disks import make_empty
from tests.hvsim.cmdlets.machine_objects import machine_object
from tests.hvsim.cmdlets.settings import MemoryChange, change_memory, require_off
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.host.failures import HostFailure, invalid_argument
from tests.hvsim.host.machines import VirtualMachine
from tests.hvsim.host.making import VERSIONS, add_machine, attach, default_path, default_settings, remove_machine
from tests.hvsim.host.power import refuse_while_busy
from tests.hvsim.host.state import World
from tests.hvsim.host.states import StateName
from tests.hvsim.host.strikes import field_strikes
from tests.hvsim.host.switches import find_switch

LATE_RELEASE = 4.0
"""Simulated seconds for which a removed machine's disk stays locked, in field mode."""
TEXT_SETTINGS = {
    "CheckpointType": "checkpoint_type",
    "AutomaticStartAction": "start_action",
    "AutomaticStopAction": "stop_action",
    "AutomaticCriticalErrorAction": "critical_action",
    "Notes": "notes",
}
NUMBER_SETTINGS = {"AutomaticStartDelay": "start_delay", "AutomaticCriticalErrorActionTimeout": "critical_timeout"}
FREE_OPTIONS = ("LockOnDisconnect", "LowMemoryMappedIoSpace", "HighMemoryMappedIoSpace", "GuestControlledCacheTypes")


def get_vm(inv: Invocation) -> Iterable[object]:
    """Get-VM: by id, by names with wildcards, or all."""
    with inv.host.transaction() as world:
        failures: list[HostFailure] = []
        if given(inv, "Id"):
            machines = [world.machine(text(inv, "Id"))]
        elif given(inv, "Name"):
            machines, failures = named(world, texts(inv, "Name"))
        else:
            machines = sorted(world.machines.values(), key=lambda vm: vm.name.casefold())
        objects = [machine_object(world, vm) for vm in machines]
    for failure in failures:
        inv.error(failure)
    return objects


def new_vm(inv: Invocation) -> Iterable[object]:
    """New-VM: registers a machine with the disk, switch and memory it is told. Names need not be unique."""
    with inv.host.transaction() as world:
        name = text(inv, "Name", "New Virtual Machine")
        generation = number(inv, "Generation", 1)
        if generation not in (1, 2):
            raise invalid_argument(f"The virtual machine generation {generation} is not supported.", name)
        if not name or any(character in name for character in '\\/:*?"<>|'):
            raise invalid_argument(f"The name '{name}' cannot be used: it is not valid as the name of a folder.", name)
        memory = number(inv, "MemoryStartupBytes") if given(inv, "MemoryStartupBytes") else None
        settings = default_settings(world, name, generation, memory)
        if given(inv, "Version"):
            settings.version = _version(world, text(inv, "Version"), name)
        if given(inv, "SwitchName"):
            settings.adapters[0].switch = find_switch(world, text(inv, "SwitchName")).id
        folder = text(inv, "Path") or default_path(world, "machines")
        vm = add_machine(world, settings, f"{folder}\\{name}")
        try:
            _attach_disk(inv, world, vm)
        except HostFailure:
            remove_machine(world, vm)
            raise
        return [machine_object(world, vm)]


def _version(world: World, version: str, name: str) -> str:
    if version not in VERSIONS[world.options.version]:
        raise invalid_argument(f"The virtual machine configuration version {version} is not supported.", name)
    return version


def _attach_disk(inv: Invocation, world: World, vm: VirtualMachine) -> None:
    if given(inv, "VHDPath"):
        attach(world, vm, text(inv, "VHDPath"), None, None)
    elif given(inv, "NewVHDPath"):
        path = text(inv, "NewVHDPath")
        if "\\" not in path:
            path = f"{default_path(world, 'disks')}\\{path}"
        make_empty(world, path, number(inv, "NewVHDSizeBytes"))
        attach(world, vm, path, None, None)


def set_vm(inv: Invocation) -> Iterable[object]:
    """Set-VM: some settings in any state, those of processors and memory type only while the machine is off."""

    def change(world: World, vm: VirtualMachine) -> object:
        refuse_while_busy(world, vm, "change")
        if flag(inv, "StaticMemory") and flag(inv, "DynamicMemory"):
            raise invalid_argument("StaticMemory and DynamicMemory cannot be given together.", vm.name)
        _set_hardware(inv, vm)
        for parameter, attribute in TEXT_SETTINGS.items():
            if given(inv, parameter):
                setattr(vm.settings, attribute, text(inv, parameter))
        for parameter, attribute in NUMBER_SETTINGS.items():
            if given(inv, parameter):
                setattr(vm.settings, attribute, number(inv, parameter))
        for parameter in FREE_OPTIONS:
            if given(inv, parameter):
                vm.settings.options[parameter] = inv.bound.values[parameter]
        if given(inv, "AutomaticCheckpointsEnabled"):
            vm.settings.automatic_checkpoints = flag(inv, "AutomaticCheckpointsEnabled")
        if given(inv, "NewVMName"):
            vm.settings.name = text(inv, "NewVMName")
        if given(inv, "SnapshotFileLocation"):
            _move_snapshots(vm, world.drives.normal(text(inv, "SnapshotFileLocation")))
        return machine_object(world, vm)

    return _passed(inv, [result for _, result in each_machine(inv, change, name_parameter="Name")])


def _set_hardware(inv: Invocation, vm: VirtualMachine) -> None:
    if given(inv, "ProcessorCount"):
        require_off(vm, "change the number of processors of")
        vm.settings.processor.count = number(inv, "ProcessorCount")
    static, dynamic = flag(inv, "StaticMemory"), flag(inv, "DynamicMemory")
    change = MemoryChange(
        dynamic=dynamic if static or dynamic else None,
        startup=number(inv, "MemoryStartupBytes"),
        minimum=number(inv, "MemoryMinimumBytes"),
        maximum=number(inv, "MemoryMaximumBytes"),
    )
    change_memory(vm, change)


def _move_snapshots(vm: VirtualMachine, path: str) -> None:
    if vm.checkpoints:
        raise HostFailure(
            f"Failed to change the checkpoint file location of '{vm.name}': the virtual machine has checkpoints.",
            error_id="InvalidOperation",
            category="InvalidOperation",
            target=vm.name,
        )
    vm.snapshot_path = path


def rename_vm(inv: Invocation) -> Iterable[object]:
    """Rename-VM: files and folders keep their names."""

    def rename(world: World, vm: VirtualMachine) -> object:
        vm.settings.name = text(inv, "NewName")
        return machine_object(world, vm)

    return _passed(inv, [result for _, result in each_machine(inv, rename, name_parameter="Name")])


def remove_vm(inv: Invocation) -> Iterable[object]:
    """Remove-VM: never deletes disks."""

    def remove(world: World, vm: VirtualMachine) -> object:
        refuse_while_busy(world, vm, "delete")
        seen = machine_object(world, vm)
        disks = [drive.path for drive in vm.settings.drives if drive.path]
        was_saved = vm.state == StateName.Saved
        remove_machine(world, vm)
        if field_strikes(world, "late-lock") or (was_saved and world.options.field):
            for path in disks:
                world.hold(path, LATE_RELEASE, f"the management service has not let go of {vm.name} yet")
        return seen

    return _passed(inv, [result for _, result in each_machine(inv, remove, name_parameter="Name")])


def _passed(inv: Invocation, objects: list[object]) -> list[object]:
    return objects if flag(inv, "Passthru") else []
