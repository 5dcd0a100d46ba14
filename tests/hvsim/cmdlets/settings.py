"""Processors and memory of a machine, and how Get- and Set- cmdlets of its parts are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.hvsim.binder import NetObject
from tests.hvsim.cmdlets import device_objects
from tests.hvsim.cmdlets.arguments import checkpoint_of, each_machine, flag, given, identity, items, number
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.host.failures import HostFailure, invalid_argument, invalid_state
from tests.hvsim.host.machines import MIB, Settings, VirtualMachine
from tests.hvsim.host.power import refuse_while_busy
from tests.hvsim.host.state import World
from tests.hvsim.host.states import OFF, StateName

SMALLEST_MEMORY = 32 * MIB
View = Callable[[World, VirtualMachine, Settings, str | None], list[object]]


def require_off(vm: VirtualMachine, operation: str) -> None:
    """Raise InvalidState unless a machine is off."""
    if vm.state not in OFF:
        raise invalid_state(
            f"Failed to {operation} '{vm.name}'. The operation cannot be performed while the virtual machine is in its "
            f"current state. (Virtual machine ID {vm.id.upper()})",
            vm.name,
        )


@dataclass(frozen=True)
class MemoryChange:
    """What is to change of a machine's memory: kind, and sizes in bytes; None and 0 leave a value as it is."""

    dynamic: bool | None = None
    startup: int = 0
    minimum: int = 0
    maximum: int = 0


def change_memory(vm: VirtualMachine, change: MemoryChange) -> None:
    """Change the memory of a machine; the kind of memory changes only while it is off.

    Raises `HostFailure` for sizes out of order, and for dynamic memory with nested virtualization.
    """
    ram = vm.settings.ram
    dynamic = ram.dynamic if change.dynamic is None else change.dynamic
    startup = change.startup or ram.startup
    if dynamic != ram.dynamic or (startup != ram.startup and vm.state == StateName.Saved):
        require_off(vm, "change the memory of")
    minimum = change.minimum or min(ram.minimum, startup)
    maximum = change.maximum or ram.maximum
    if dynamic and not minimum <= startup <= maximum:
        raise invalid_argument(
            f"'{vm.name}': the startup memory must lie between the minimum and the maximum memory.", vm.name
        )
    if startup < SMALLEST_MEMORY or startup % (2 * MIB):
        raise invalid_argument(
            f"'{vm.name}': {startup} bytes is not a valid amount of memory: a multiple of 2 MB, 32 MB at least.",
            vm.name,
        )
    if dynamic and vm.settings.processor.nested:
        raise HostFailure(
            f"Failed to modify the memory of '{vm.name}': dynamic memory cannot be used with nested virtualization.",
            error_id="InvalidOperation",
            category="InvalidOperation",
            target=vm.name,
        )
    ram.dynamic, ram.startup, ram.minimum, ram.maximum = dynamic, startup, minimum, maximum


def viewer(view: View) -> Callable[[Invocation], Iterable[object]]:
    """A Get- cmdlet that shows a part of machines, or of one checkpoint (-VMSnapshot)."""

    def get(inv: Invocation) -> Iterable[object]:
        if given(inv, "VMSnapshot"):
            with inv.host.transaction() as world:
                vm, point = checkpoint_of(world, inv.bound.values["VMSnapshot"])
                return view(world, vm, point.settings, point.id)
        found = each_machine(inv, lambda world, vm: view(world, vm, vm.settings, None), changes=False)
        return [one for _, objects in found for one in objects]

    return get


get_processor = viewer(lambda _world, vm, settings, point: [device_objects.processor(vm, settings, point)])
get_memory = viewer(lambda _world, vm, settings, point: [device_objects.memory(vm, settings, point)])


def changer(
    change: Callable[[Invocation, World, VirtualMachine], NetObject], *, by_device: str | None = None
) -> Callable[[Invocation], Iterable[object]]:
    """A Set- cmdlet: changes the machines named, or those whose device objects came by `by_device`."""

    def run(inv: Invocation) -> Iterable[object]:
        def guarded(world: World, vm: VirtualMachine) -> NetObject:
            refuse_while_busy(world, vm, "modify")
            return change(inv, world, vm)

        if by_device is not None and given(inv, by_device):
            results = []
            for device in items(inv, by_device):
                with inv.host.transaction() as world:
                    results.append(guarded(world, world.machine(identity(device, "VMId"))))
        else:
            results = [result for _, result in each_machine(inv, guarded)]
        return results if flag(inv, "Passthru") else []

    return run


def _set_processor(inv: Invocation, _world: World, vm: VirtualMachine) -> NetObject:
    chosen = vm.settings.processor
    limits = {"Reserve": "reserve", "Maximum": "maximum", "RelativeWeight": "weight"}
    if given(inv, "Count"):
        require_off(vm, "change the number of processors of")
        if number(inv, "Count") < 1:
            raise invalid_argument("The number of processors must be at least 1.", vm.name)
        chosen.count = number(inv, "Count")
    if given(inv, "ExposeVirtualizationExtensions"):
        _set_nested(vm, flag(inv, "ExposeVirtualizationExtensions"))
    if given(inv, "CompatibilityForMigrationEnabled"):
        require_off(vm, "change the processor compatibility of")
        chosen.compatibility = flag(inv, "CompatibilityForMigrationEnabled")
    if given(inv, "CompatibilityForOlderOperatingSystemsEnabled"):
        require_off(vm, "change the processor compatibility of")
        chosen.older_compatibility = flag(inv, "CompatibilityForOlderOperatingSystemsEnabled")
    if given(inv, "HwThreadCountPerCore"):
        require_off(vm, "change the threads per core of")
        chosen.threads_per_core = number(inv, "HwThreadCountPerCore")
    if given(inv, "EnableHostResourceProtection"):
        chosen.resource_protection = flag(inv, "EnableHostResourceProtection")
    for parameter, attribute in limits.items():
        if given(inv, parameter):
            setattr(chosen, attribute, number(inv, parameter))
    return device_objects.processor(vm, vm.settings)


def _set_nested(vm: VirtualMachine, wanted: bool) -> None:
    """Nested virtualization wants the machine off, static memory, and no memory saved in a checkpoint."""
    require_off(vm, "change the virtualization extensions of")
    if wanted and vm.settings.ram.dynamic:
        raise HostFailure(
            f"Failed to modify the processor of '{vm.name}': nested virtualization cannot be used with dynamic memory.",
            error_id="InvalidOperation",
            category="InvalidOperation",
            target=vm.name,
        )
    if wanted and any(point.memory is not None for point in vm.checkpoints.values()):
        raise invalid_state(
            f"Failed to modify the processor of '{vm.name}': the virtual machine has a saved state.", vm.name
        )
    vm.settings.processor.nested = wanted


set_processor = changer(_set_processor, by_device="VMProcessor")


def _set_memory(inv: Invocation, _world: World, vm: VirtualMachine) -> NetObject:
    change = MemoryChange(
        dynamic=flag(inv, "DynamicMemoryEnabled") if given(inv, "DynamicMemoryEnabled") else None,
        startup=number(inv, "StartupBytes"),
        minimum=number(inv, "MinimumBytes"),
        maximum=number(inv, "MaximumBytes"),
    )
    change_memory(vm, change)
    vm.settings.ram.buffer = number(inv, "Buffer", vm.settings.ram.buffer)
    vm.settings.ram.priority = number(inv, "Priority", vm.settings.ram.priority)
    return device_objects.memory(vm, vm.settings)


set_memory = changer(_set_memory, by_device="VMMemory")
