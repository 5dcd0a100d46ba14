"""Objects that stand for devices and settings of a machine: drives, adapters, ports, services, firmware, security."""

from __future__ import annotations

from tests.hvsim.binder import NetObject
from tests.hvsim.cmdlets.values import HOST_NAME, enum, guid, net_object, on_off
from tests.hvsim.engine.values import Int64, UInt32, UInt64
from tests.hvsim.host.locale import SERVICES, service_name, text
from tests.hvsim.host.machines import (
    ComPort,
    HardDrive,
    NetworkAdapter,
    ServiceKey,
    Settings,
    VirtualMachine,
    readiness,
)
from tests.hvsim.host.state import World
from tests.hvsim.host.states import StateName
from tests.hvsim.host.switches import addresses

DRIVE = ("HardDiskDrive", "Drive", "VMDevice", "VMComponentObject", "VirtualizationObject")
ADAPTER = ("VMNetworkAdapter", "VMNetworkAdapterBase", "VMDevice", "VMComponentObject", "VirtualizationObject")
NO_CHECKPOINT = "00000000-0000-0000-0000-000000000000"


def _owner(vm: VirtualMachine, checkpoint: str | None) -> dict[str, object]:
    point = vm.checkpoints.get(checkpoint or "")
    return {
        "VMId": guid(vm.id),
        "VMName": vm.name,
        "VMSnapshotId": guid(checkpoint or NO_CHECKPOINT),
        "VMSnapshotName": point.name if point else "",
        "VMCheckpointId": guid(checkpoint or NO_CHECKPOINT),
        "VMCheckpointName": point.name if point else "",
        "ComputerName": HOST_NAME,
        "IsDeleted": False,
    }


def component_id(vm: VirtualMachine, *parts: str) -> str:
    """The Id of a device's object: the machine's GUID and what follows, backslashes between them."""
    return "\\".join([f"Microsoft:{vm.id.upper()}", *parts])


def hard_drive(world: World, vm: VirtualMachine, drive: HardDrive, checkpoint: str | None = None) -> NetObject:
    """A HardDiskDrive."""
    kind = "SCSI" if vm.settings.generation == 2 else "IDE"
    label = text("Hard Drive", world.options.culture)
    return net_object(
        DRIVE,
        {
            "Path": drive.path or None,
            "DiskNumber": None,
            "MaximumIOPS": UInt64(0),
            "MinimumIOPS": UInt64(0),
            "SupportPersistentReservations": False,
            "ControllerLocation": drive.location,
            "ControllerNumber": drive.controller,
            "ControllerType": enum("ControllerType", kind),
            "PoolName": "Primordial",
            "Name": f"{label} on {kind} controller number {drive.controller} at location {drive.location}",
            "Id": component_id(vm, drive.id.upper(), str(drive.controller), str(drive.location), "D"),
            **_owner(vm, checkpoint),
        },
        f"HardDiskDrive (VMName = '{vm.name}')",
    )


def scsi_controller(world: World, vm: VirtualMachine, number: int) -> NetObject:
    """A VMScsiController with its drives."""
    label = text("SCSI Controller", world.options.culture)
    return net_object(
        ("VMScsiController", "VMDriveController", "VMDevice", "VMComponentObject", "VirtualizationObject"),
        {
            "ControllerNumber": number,
            "IsTemplate": False,
            "Drives": [hard_drive(world, vm, drive) for drive in vm.settings.drives if drive.controller == number],
            "Name": label,
            "Id": component_id(vm, f"SCSI{number}"),
            **_owner(vm, None),
        },
    )


def network_adapter(
    world: World, vm: VirtualMachine, adapter: NetworkAdapter, checkpoint: str | None = None
) -> NetObject:
    """A VMNetworkAdapter; its IPAddresses are what the guest tells, empty before it answers."""
    switch = world.switches.get(adapter.switch or "")
    connected = switch is not None
    ok = [enum("VMIntegrationComponentOperationalStatus", "Ok")] if connected else []
    return net_object(
        ADAPTER,
        {
            "Name": adapter.name,
            "Id": component_id(vm, adapter.id.upper()),
            "AdapterId": adapter.id.upper(),
            "IsLegacy": False,
            "IsManagementOs": False,
            "IsExternalAdapter": False,
            "SwitchId": guid(switch.id) if switch else guid(NO_CHECKPOINT),
            "SwitchName": switch.name if switch else None,
            "Connected": connected,
            "MacAddress": adapter.mac,
            "DynamicMacAddressEnabled": adapter.dynamic_mac,
            "MacAddressSpoofing": on_off(adapter.spoofing),
            "DhcpGuard": on_off(adapter.options.get("DhcpGuard") == "On"),
            "RouterGuard": on_off(adapter.options.get("RouterGuard") == "On"),
            "AllowTeaming": on_off(adapter.options.get("AllowTeaming") == "On"),
            "DeviceNaming": on_off(adapter.options.get("DeviceNaming") == "On"),
            "IovWeight": UInt32(int(adapter.options.get("IovWeight", 0))),
            "VmqWeight": UInt32(int(adapter.options.get("VmqWeight", 100))),
            "IPAddresses": addresses(world, vm, adapter) if checkpoint is None else [],
            "Status": ok,
            "StatusDescription": [text("OK", world.options.culture)] if connected else [],
            **_owner(vm, checkpoint),
        },
        f"VMNetworkAdapter (Name = '{adapter.name}') [VMName = '{vm.name}']",
    )


def com_port(vm: VirtualMachine, port: ComPort, checkpoint: str | None = None) -> NetObject:
    """A VMComPort."""
    return net_object(
        ("VMComPort", "VMDevice", "VMComponentObject", "VirtualizationObject"),
        {
            "Path": port.path,
            "DebuggerMode": on_off(port.debugger),
            "Name": f"COM {port.number}",
            "Id": component_id(vm, "COM", str(port.number - 1)),
            **_owner(vm, checkpoint),
        },
        f"VMComPort (Name = 'COM {port.number}') [VMName = '{vm.name}']",
    )


def integration_service(world: World, vm: VirtualMachine, key: ServiceKey, checkpoint: str | None = None) -> NetObject:
    """A VMIntegrationComponent; its status is Ok once the guest has answered."""
    culture = world.options.culture
    settings = vm.settings if checkpoint is None else vm.checkpoints[checkpoint].settings
    enabled = settings.services.get(key, False)
    answers = enabled and readiness(vm, world.now).heartbeat and checkpoint is None
    if answers or vm.state != StateName.Running or not enabled:
        status, words = ("Ok", "OK") if answers or enabled else ("Disabled", "Disabled")
    else:
        status, words = ("LostCommunication", "Lost communication") if vm.hung else ("NoContact", "No contact")
    facts = SERVICES[key]
    shown = vm.state == StateName.Running and checkpoint is None
    primary = enum("VMIntegrationComponentOperationalStatus", status)
    return net_object(
        (facts.component, "VMIntegrationComponent", "VMDevice", "VMComponentObject", "VirtualizationObject"),
        {
            "Enabled": enabled,
            "OperationalStatus": [primary] if shown else [],
            "PrimaryOperationalStatus": primary if shown else None,
            "PrimaryStatusDescription": text(words, culture) if shown else "",
            "SecondaryOperationalStatus": None,
            "SecondaryStatusDescription": "",
            "StatusDescription": [text(words, culture)] if shown else [],
            "Name": service_name(key, culture),
            "Id": component_id(vm, facts.guid),
            **_owner(vm, checkpoint),
        },
        f"VMIntegrationComponent (Name = '{service_name(key, culture)}')",
    )


def processor(vm: VirtualMachine, settings: Settings, checkpoint: str | None = None) -> NetObject:
    """A VMProcessor."""
    chosen = settings.processor
    return net_object(
        ("VMProcessor", "VMDevice", "VMComponentObject", "VirtualizationObject"),
        {
            "Count": Int64(chosen.count),
            "ExposeVirtualizationExtensions": chosen.nested,
            "CompatibilityForMigrationEnabled": chosen.compatibility,
            "CompatibilityForOlderOperatingSystemsEnabled": chosen.older_compatibility,
            "HwThreadCountPerCore": Int64(chosen.threads_per_core),
            "Maximum": Int64(chosen.maximum),
            "Reserve": Int64(chosen.reserve),
            "RelativeWeight": chosen.weight,
            "EnableHostResourceProtection": chosen.resource_protection,
            "ResourcePoolName": "Primordial",
            "Name": "Processor",
            "Id": component_id(vm, "b637f346-6a0e-4dec-af52-bd70cb80a21d", "0"),
            **_owner(vm, checkpoint),
        },
    )


def memory(vm: VirtualMachine, settings: Settings, checkpoint: str | None = None) -> NetObject:
    """A VMMemory."""
    ram = settings.ram
    return net_object(
        ("VMMemory", "VMDevice", "VMComponentObject", "VirtualizationObject"),
        {
            "Startup": Int64(ram.startup),
            "Minimum": Int64(ram.minimum),
            "Maximum": Int64(ram.maximum),
            "DynamicMemoryEnabled": ram.dynamic,
            "Buffer": ram.buffer,
            "Priority": ram.priority,
            "MaximumPerNumaNode": Int64(ram.maximum),
            "ResourcePoolName": "Primordial",
            "Name": "Memory",
            "Id": component_id(vm, "4764334d-e001-4176-82ee-5594ec9b530e"),
            **_owner(vm, checkpoint),
        },
    )


def firmware(world: World, vm: VirtualMachine, settings: Settings, checkpoint: str | None = None) -> NetObject:
    """A VMFirmware; the boot order holds the devices themselves."""
    chosen = settings.firmware
    devices = {drive.id: ("Drive", hard_drive(world, vm, drive, checkpoint)) for drive in settings.drives}
    devices |= {one.id: ("Network", network_adapter(world, vm, one, checkpoint)) for one in settings.adapters}
    order = [one for one in chosen.boot_order if one in devices]
    order += [one for one in devices if one not in order]
    return net_object(
        ("VMFirmware", "VMComponentObject", "VirtualizationObject"),
        {
            "BootOrder": [_boot_source(vm, *devices[one]) for one in order],
            "SecureBoot": on_off(chosen.secure_boot),
            "SecureBootTemplate": chosen.template,
            "SecureBootTemplateId": guid(TEMPLATES[chosen.template]),
            "PreferredNetworkBootProtocol": enum("IPProtocolPreference", chosen.boot_protocol),
            "ConsoleMode": enum("ConsoleModeType", chosen.console),
            "PauseAfterBootFailure": on_off(chosen.pause_after_boot_failure),
            **_owner(vm, checkpoint),
        },
    )


TEMPLATES = {
    "MicrosoftWindows": "1734c6e8-3154-4dda-ba5f-a874cc483422",
    "MicrosoftUEFICertificateAuthority": "272e7447-90a4-4563-a4b9-8e4ab00526ce",
    "OpenSourceShieldedVM": "4292ae2b-ee2c-42b5-a969-dd8f8689f6f3",
}
"""Secure Boot templates and their ids (Get-VMHost, SecureBootTemplates)."""


def _boot_source(vm: VirtualMachine, kind: str, device: NetObject) -> NetObject:
    return net_object(
        ("VMBootSource", "VMComponentObject", "VirtualizationObject"),
        {"BootType": kind, "Device": device, "Description": kind, "VMName": vm.name, "VMId": guid(vm.id)},
    )


def security(vm: VirtualMachine) -> NetObject:
    """A VMSecurity."""
    chosen = vm.settings.security
    return net_object(
        ("VMSecurity", "VMComponentObject", "VirtualizationObject"),
        {
            "TpmEnabled": chosen.tpm,
            "KsdEnabled": False,
            "Shielded": chosen.shielded,
            "EncryptStateAndVmMigrationTraffic": chosen.encrypt_state,
            "VirtualizationBasedSecurityOptOut": chosen.vbs_opt_out,
            "BindToHostTpm": False,
            **_owner(vm, None),
        },
    )


def video(vm: VirtualMachine, checkpoint: str | None = None) -> NetObject:
    """A VMVideo."""
    width, height = vm.settings.resolution
    return net_object(
        ("VMVideo", "VMDevice", "VMComponentObject", "VirtualizationObject"),
        {
            "ResolutionType": enum("ResolutionType", "Default"),
            "HorizontalResolution": width,
            "VerticalResolution": height,
            "Name": "Video",
            "Id": component_id(vm, "58f75a6d-d949-4320-99e1-a2a2576d581c"),
            **_owner(vm, checkpoint),
        },
    )
