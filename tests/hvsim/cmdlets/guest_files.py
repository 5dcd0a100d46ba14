"""Copy-VMFile and Debug-VM: what reaches a guest without a session."""

from __future__ import annotations

import ntpath
from collections.abc import Iterable

from tests.hvsim.cmdlets.arguments import each_machine, flag, text
from tests.hvsim.cmdlets.machine_objects import machine_object
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.guest.files import GuestFileError, GuestFiles, absolute
from tests.hvsim.host.crashes import bugcheck
from tests.hvsim.host.disks import GuestDisk
from tests.hvsim.host.failures import FILE_EXISTS, NOT_FOUND, NOT_READY, invalid_state, operation_failed
from tests.hvsim.host.machines import VirtualMachine, guest_now, readiness
from tests.hvsim.host.state import World
from tests.hvsim.host.states import StateName

WIN32 = 0x80070000
"""HRESULT of a Win32 error, less its number."""
NMI_BUGCHECK = "0x00000080"
"""NMI_HARDWARE_FAILURE, the bugcheck of a guest that was sent a non-maskable interrupt."""


def copy_file(inv: Invocation) -> Iterable[object]:
    """Copy-VMFile: a file of the host into a guest whose Guest Service Interface is on and answers."""

    def copy(world: World, vm: VirtualMachine) -> None:
        source = text(inv, "SourcePath")
        real = world.drives.resolve(source)
        if not real.is_file():
            raise operation_failed(
                f"'{vm.name}' failed to initiate copying files to the guest. The system cannot find '{source}'",
                NOT_FOUND,
                vm.name,
            )
        _refuse_without_service(world, vm)
        _write(inv, world, vm, real.read_bytes())

    for _ in each_machine(inv, copy, name_parameter="Name"):
        yield from ()


def _refuse_without_service(world: World, vm: VirtualMachine) -> None:
    if vm.state != StateName.Running:
        raise invalid_state(f"'{vm.name}' failed to initiate copying files to the guest: it is not running.", vm.name)
    if not vm.settings.services.get("GuestServices", False) or not readiness(vm, world.now).heartbeat:
        raise operation_failed(
            f"'{vm.name}' failed to initiate copying files to the guest: the Guest Service Interface is not available. "
            f"(Virtual machine ID {vm.id.upper()})",
            NOT_READY,
            vm.name,
        )


def _write(inv: Invocation, world: World, vm: VirtualMachine, data: bytes) -> None:
    files = GuestFiles(GuestDisk(world, vm.top_disk, guest_now(vm, world.now)))
    target = absolute(text(inv, "DestinationPath"), "C:\\")
    if files.exists(target) and not flag(inv, "Force"):
        raise operation_failed(f"'{vm.name}' failed to copy '{target}' to the guest: it exists", FILE_EXISTS, vm.name)
    try:
        if flag(inv, "CreateFullPath"):
            files.make_folder(ntpath.dirname(target))
        files.write(target, data)
    except GuestFileError as failure:
        message = f"'{vm.name}' failed to copy '{target}' to the guest: {failure.text}"
        raise operation_failed(message, WIN32 + failure.code, vm.name) from failure


def debug_vm(inv: Invocation) -> Iterable[object]:
    """Debug-VM -InjectNonMaskableInterrupt: the guest crashes, writes its dump and boots again."""

    def interrupt(world: World, vm: VirtualMachine) -> object:
        if vm.state != StateName.Running:
            raise invalid_state(f"'{vm.name}' cannot be interrupted: it is not running.", vm.name)
        if readiness(vm, world.now).heartbeat or vm.hung:
            bugcheck(world, vm, NMI_BUGCHECK, ("0x4F4454", "0x0", "0x0", "0x0"))
        return machine_object(world, vm)

    shown = [result for _, result in each_machine(inv, interrupt, name_parameter="Name")]
    return shown if flag(inv, "Passthru") else []
