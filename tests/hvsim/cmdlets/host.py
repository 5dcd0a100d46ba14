"""The host itself: Get-VMHost, Set-VMHost, supported versions, partitionable GPUs."""

from __future__ import annotations

from collections.abc import Iterable

from tests.hvsim.binder import NetObject
from tests.hvsim.cmdlets.arguments import flag, given, matcher, text
from tests.hvsim.cmdlets.device_objects import TEMPLATES
from tests.hvsim.cmdlets.values import HOST_NAME, guid, net_object
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.engine.values import Int64, UInt32, UInt64
from tests.hvsim.host.making import VERSIONS, default_path
from tests.hvsim.host.state import World
from tests.hvsim.host.switches import MAC_POOL
from tests.hvsim.values import Version

NO_SRIOV = (
    "Ensure that the system has chipset support for SR-IOV and that I/O virtualization is enabled in the BIOS.",
    "To use SR-IOV on this system, the system BIOS must be updated to allow Windows to control PCI Express.",
)
PATH_SETTINGS = {"VirtualMachinePath": "machines", "VirtualHardDiskPath": "disks"}
NAMES = {"2019": "Windows Server 2019", "2022": "Windows Server 2022", "2025": "Windows Server 2025"}


def host_object(world: World) -> NetObject:
    """A VMHost."""
    options = world.options
    return net_object(
        ("VMHost", "VirtualizationObject"),
        {
            "Name": HOST_NAME,
            "ComputerName": HOST_NAME,
            "FullyQualifiedDomainName": "WORKGROUP",
            "LogicalProcessorCount": Int64(options.processors),
            "MemoryCapacity": Int64(options.memory),
            "VirtualMachinePath": default_path(world, "machines"),
            "VirtualHardDiskPath": default_path(world, "disks"),
            "MacAddressMinimum": f"{MAC_POOL}0000",
            "MacAddressMaximum": f"{MAC_POOL}FFFF",
            "IovSupport": options.sriov,
            "IovSupportReasons": [] if options.sriov else list(NO_SRIOV),
            "EnableEnhancedSessionMode": options.edition == "client",
            "NumaSpanningEnabled": True,
            "SupportedVmVersions": list(VERSIONS[options.version]),
            "SecureBootTemplates": [
                net_object(("VMSecureBootTemplate",), {"Name": name, "Id": guid(template)}, name)
                for name, template in TEMPLATES.items()
            ],
            "VirtualMachineMigrationEnabled": False,
            "MaximumStorageMigrations": UInt32(2),
            "MaximumVirtualMachineMigrations": UInt32(2),
            "IsDeleted": False,
        },
        f"VMHost (Name = '{HOST_NAME}')",
    )


def get_host(inv: Invocation) -> Iterable[object]:
    """Get-VMHost."""
    with inv.host.transaction() as world:
        return [host_object(world)]


def set_host(inv: Invocation) -> Iterable[object]:
    """Set-VMHost: the default folders; other settings are taken and forgotten."""
    with inv.host.transaction() as world:
        for parameter, kind in PATH_SETTINGS.items():
            if given(inv, parameter):
                world.paths[kind] = world.drives.normal(text(inv, parameter))
        return [host_object(world)] if flag(inv, "Passthru") else []


def get_supported_version(inv: Invocation) -> Iterable[object]:
    """Get-VMHostSupportedVersion: all configuration versions, or -Default."""
    version = inv.host.options.version
    known = VERSIONS[version]
    return [
        net_object(
            ("VMHostSupportedVersion", "VirtualizationObject"),
            {
                "Name": f"Microsoft {NAMES[version]}" if one == known[-1] else f"Configuration version {one}",
                "Version": Version(tuple(map(int, one.split(".")))),
                "IsDefault": one == known[-1],
                "ComputerName": HOST_NAME,
            },
        )
        for one in known
        if not flag(inv, "Default") or one == known[-1]
    ]


def get_gpu(inv: Invocation) -> Iterable[object]:
    """Get-VMHostPartitionableGpu: one when the host has any."""
    name = "\\\\?\\PCI#VEN_10DE&DEV_2235&SUBSYS_145A10DE&REV_A1#4&32af9c2f&0&0008#{064092b3-625e-43bf-9eb5}\\GPUPARAV"
    if not inv.host.options.partitionable_gpu or not matcher(text(inv, "Name", "*"))(name):
        return []
    return [
        net_object(
            ("VMHostPartitionableGpu", "VirtualizationObject"),
            {
                "Name": name,
                "ValidPartitionCounts": [16, 8, 4, 2, 1],
                "PartitionCount": 16,
                "TotalVRAM": UInt64(1_000_000_000),
                "AvailableVRAM": UInt64(1_000_000_000),
                "ComputerName": HOST_NAME,
            },
        )
    ]
