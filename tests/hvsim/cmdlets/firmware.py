"""Firmware, key protector and TPM of a machine of generation 2."""

from __future__ import annotations

from collections.abc import Iterable

from tests.hvsim.binder import NetObject
from tests.hvsim.cmdlets import device_objects
from tests.hvsim.cmdlets.arguments import each_machine, flag, given, is_on, items, prop, text
from tests.hvsim.cmdlets.machine_objects import machine_object
from tests.hvsim.cmdlets.settings import changer, require_off, viewer
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.host.failures import HostFailure, invalid_argument, not_found
from tests.hvsim.host.machines import Settings, VirtualMachine
from tests.hvsim.host.state import World


def require_generation_2(vm: VirtualMachine, operation: str) -> None:
    """Raise InvalidOperation for a machine of generation 1."""
    if vm.settings.generation != 2:
        raise HostFailure(
            f"Failed to {operation} '{vm.name}': the operation is not supported for a generation 1 virtual machine.",
            error_id="InvalidOperation",
            category="InvalidOperation",
            target=vm.name,
        )


get_security = viewer(lambda _world, vm, _settings, _point: [device_objects.security(vm)])


def _firmware_view(world: World, vm: VirtualMachine, settings: Settings, point: str | None) -> list[object]:
    require_generation_2(vm, "get the firmware of")
    return [device_objects.firmware(world, vm, settings, point)]


get_firmware = viewer(_firmware_view)


def _set_firmware(inv: Invocation, world: World, vm: VirtualMachine) -> NetObject:
    require_generation_2(vm, "set the firmware of")
    firmware = vm.settings.firmware
    for one, other in (("BootOrder", "FirstBootDevice"), ("SecureBootTemplate", "SecureBootTemplateId")):
        if given(inv, one) and given(inv, other):
            raise invalid_argument(f"The parameters {one} and {other} cannot be given together.", vm.name)
    if given(inv, "EnableSecureBoot"):
        require_off(vm, "change Secure Boot of")
        firmware.secure_boot = is_on(inv, "EnableSecureBoot")
    if given(inv, "SecureBootTemplate") or given(inv, "SecureBootTemplateId"):
        require_off(vm, "change the Secure Boot template of")
        firmware.template = _template(inv, vm)
    if given(inv, "FirstBootDevice"):
        first = _device(vm, items(inv, "FirstBootDevice")[0])
        firmware.boot_order = [first, *(one for one in firmware.boot_order if one != first)]
    if given(inv, "BootOrder"):
        firmware.boot_order = [_device(vm, one) for one in items(inv, "BootOrder")]
    firmware.boot_protocol = text(inv, "PreferredNetworkBootProtocol", firmware.boot_protocol)
    firmware.console = text(inv, "ConsoleMode", firmware.console)
    if given(inv, "PauseAfterBootFailure"):
        firmware.pause_after_boot_failure = is_on(inv, "PauseAfterBootFailure")
    return device_objects.firmware(world, vm, vm.settings)


def _template(inv: Invocation, vm: VirtualMachine) -> str:
    wanted = text(inv, "SecureBootTemplate") or text(inv, "SecureBootTemplateId").lower()
    for name, template_id in device_objects.TEMPLATES.items():
        if wanted.casefold() in (name.casefold(), template_id):
            return name
    raise not_found(f"The Secure Boot template '{wanted}' was not found.", vm.name)


def _device(vm: VirtualMachine, value: object) -> str:
    """The id of a drive or adapter, from its object or from an entry of a boot order."""
    inner = value.property("Device") if isinstance(value, NetObject) else None
    full = str(prop(inner if isinstance(inner, NetObject) else value, "Id")).lower()
    ids = [drive.id for drive in vm.settings.drives] + [adapter.id for adapter in vm.settings.adapters]
    for one in ids:
        if one in full:
            return one
    raise invalid_argument(f"The device is not one of the virtual machine '{vm.name}'.", vm.name)


set_firmware = changer(_set_firmware, by_device="VMFirmware")


def _set_key_protector(inv: Invocation, world: World, vm: VirtualMachine) -> NetObject:
    require_generation_2(vm, "set the key protector of")
    require_off(vm, "set the key protector of")
    security = vm.settings.security
    if flag(inv, "NewLocalKeyProtector"):
        security.protector = world.guardian + vm.id.replace("-", "")
    elif given(inv, "KeyProtector"):
        security.protector = b"".join(map(_as_byte, items(inv, "KeyProtector"))).hex()
    return device_objects.security(vm)


def _as_byte(part: object) -> bytes:
    return part if isinstance(part, bytes) else bytes((int(str(part)),))


set_key_protector = changer(_set_key_protector)


def get_key_protector(inv: Invocation) -> Iterable[object]:
    """Get-VMKeyProtector: bytes; four zeros when there is none."""
    found = each_machine(
        inv, lambda _world, vm: bytes.fromhex(vm.settings.security.protector) or bytes((0, 0, 0, 4)), changes=False
    )
    return [data for _, data in found]


def _enable_tpm(_inv: Invocation, world: World, vm: VirtualMachine) -> NetObject:
    require_generation_2(vm, "enable the TPM of")
    require_off(vm, "enable the TPM of")
    if not vm.settings.security.protector:
        raise HostFailure(
            f"Cannot modify the selected virtual TPM settings of '{vm.name}'. A key protector has to be set before the "
            f"virtual TPM is enabled. (Virtual machine ID {vm.id.upper()})",
            target=vm.name,
        )
    vm.settings.security.tpm = True
    return machine_object(world, vm)


def _disable_tpm(_inv: Invocation, world: World, vm: VirtualMachine) -> NetObject:
    require_off(vm, "disable the TPM of")
    vm.settings.security.tpm = False
    return machine_object(world, vm)


def _set_security(inv: Invocation, _world: World, vm: VirtualMachine) -> NetObject:
    require_off(vm, "change the security settings of")
    security = vm.settings.security
    if given(inv, "EncryptStateAndVmMigrationTraffic"):
        security.encrypt_state = flag(inv, "EncryptStateAndVmMigrationTraffic")
    if given(inv, "VirtualizationBasedSecurityOptOut"):
        security.vbs_opt_out = flag(inv, "VirtualizationBasedSecurityOptOut")
    return device_objects.security(vm)


enable_tpm = changer(_enable_tpm)
disable_tpm = changer(_disable_tpm)
set_security = changer(_set_security)
