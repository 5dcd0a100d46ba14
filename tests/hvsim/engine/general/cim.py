"""Get-CimInstance: the classes of root/cimv2 that tell what a host is."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator

from tests.hvsim.engine import errors
from tests.hvsim.engine.general import properties
from tests.hvsim.engine.general.comparison import equal, like
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.engine.values import UInt16, UInt32, UInt64
from tests.hvsim.host.capacity import free_disk, free_memory
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.options import HostOptions
from tests.hvsim.host.state import World
from tests.hvsim.values import NOTHING, NetObject, net_text

HOST_NAME = "SIMHOST"
NAMESPACE = "root/cimv2"
BUILDS = {"2019": "17763", "2022": "20348", "2025": "26100"}
CLIENTS = {
    "2019": "Microsoft Windows 10 Enterprise",
    "2022": "Microsoft Windows 11 Pro",
    "2025": "Microsoft Windows 11 Pro",
}
_CONDITION = re.compile(r"\s*(\w+)\s*(=|<>|!=|LIKE)\s*('(?:[^'\\]|\\.)*'|\"[^\"]*\"|\S+)\s*$", re.IGNORECASE)
_QUERY = re.compile(r"\s*SELECT\s+(.+?)\s+FROM\s+(\w+)(?:\s+WHERE\s+(.+?))?\s*$", re.IGNORECASE | re.DOTALL)


def get_cim_instance(inv: Invocation) -> Iterator[object]:
    """By -ClassName with -Filter, or by -Query. HostFailure for a class that the host does not have."""
    class_name, condition = inv.value("ClassName"), inv.value("Filter")
    if (query := inv.value("Query")) is not None:
        found = _QUERY.match(query)
        if found is None:
            raise HostFailure("Invalid query ", error_id="HRESULT 0x80041017", category="InvalidArgument", target=query)
        class_name, condition = found[2], found[3]
    if class_name is None:
        raise errors.not_simulated(inv.command)
    namespace = str(inv.value("Namespace") or NAMESPACE).replace("\\", "/").casefold()
    make = CLASSES.get(str(class_name).casefold()) if namespace == NAMESPACE else None
    if make is None:
        raise HostFailure(
            "Invalid class ",
            error_id="HRESULT 0x80041010",
            category="MetadataError",
            target=f"{namespace}:{class_name}",
        )
    with inv.host.transaction() as world:
        instances = [make(world)]
    for instance in instances:
        if condition is None or _holds(str(condition), instance):
            yield instance


def _holds(condition: str, instance: NetObject) -> bool:
    """A WQL condition: comparisons joined by AND."""
    return all(_compared(part, instance) for part in re.split(r"\s+AND\s+", condition, flags=re.IGNORECASE))


def _compared(condition: str, instance: NetObject) -> bool:
    found = _CONDITION.match(condition)
    value = properties.find(instance, found[1]) if found else NOTHING
    if found is None or value is NOTHING:
        raise HostFailure("Invalid query ", error_id="HRESULT 0x80041017", category="InvalidArgument", target=condition)
    wanted = found[3].strip("'\"").replace("\\\\", "\\")
    if found[2].upper() == "LIKE":
        return like(value, wanted.replace("%", "*").replace("_", "?"))
    return equal(net_text(value), wanted) == (found[2] == "=")


def _instance(name: str, bag: dict[str, object], key: str) -> NetObject:
    names = (
        f"Microsoft.Management.Infrastructure.CimInstance#root/cimv2/{name}",
        "Microsoft.Management.Infrastructure.CimInstance#ROOT/cimv2/CIM_ManagedSystemElement",
        "Microsoft.Management.Infrastructure.CimInstance",
        "System.Object",
    )
    return NetObject(names, bag, f"{name}: {key}")


def _caption(options: HostOptions) -> str:
    if options.edition == "client":
        return CLIENTS[options.version]
    return f"Microsoft Windows Server {options.version} Datacenter"


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _operating_system(world: World) -> NetObject:
    build = BUILDS[world.options.version]
    caption = _caption(world.options)
    bag: dict[str, object] = {
        "Caption": caption,
        "Version": f"10.0.{build}",
        "BuildNumber": build,
        "OSArchitecture": "64-bit",
        "ProductType": UInt32(1 if world.options.edition == "client" else 3),
        "OperatingSystemSKU": UInt32(48 if world.options.edition == "client" else 8),
        "CSName": HOST_NAME,
        "Locale": "0407" if world.options.culture == "de-DE" else "0409",
        "MUILanguages": [world.options.culture],
        "TotalVisibleMemorySize": UInt64(world.options.memory // 1024),
        "FreePhysicalMemory": UInt64(free_memory(world) // 1024),
        "LastBootUpTime": _moment(world.booted_at),
        "LocalDateTime": _moment(world.now),
        "SystemDrive": "C:",
    }
    return _instance("Win32_OperatingSystem", bag, caption)


def _computer_system(world: World) -> NetObject:
    options = world.options
    bag: dict[str, object] = {
        "Name": HOST_NAME,
        "DNSHostName": HOST_NAME,
        "Domain": "WORKGROUP",
        "PartOfDomain": False,
        "Manufacturer": "Simulated",
        "Model": "Hyper-V host",
        "HypervisorPresent": _hypervisor(options),
        "TotalPhysicalMemory": UInt64(options.memory),
        "NumberOfProcessors": UInt32(1),
        "NumberOfLogicalProcessors": UInt32(options.processors),
        "SystemType": "x64-based PC",
        "UserName": f"{HOST_NAME}\\{options.user}",
    }
    return _instance("Win32_ComputerSystem", bag, HOST_NAME)


def _processor(world: World) -> NetObject:
    """The three virtualization properties read False as soon as a hypervisor runs."""
    options = world.options
    seen = not _hypervisor(options)
    bag: dict[str, object] = {
        "DeviceID": "CPU0",
        "Name": "Simulated CPU @ 3.00GHz",
        "Manufacturer": "GenuineIntel",
        "NumberOfCores": UInt32(max(1, options.processors // 2)),
        "NumberOfLogicalProcessors": UInt32(options.processors),
        "Architecture": UInt16(9),
        "VirtualizationFirmwareEnabled": seen and options.virtualization,
        "SecondLevelAddressTranslationExtensions": seen and options.slat,
        "VMMonitorModeExtensions": seen,
    }
    return _instance("Win32_Processor", bag, "CPU0")


def _hypervisor(options: HostOptions) -> bool:
    return options.virtualization and options.slat and options.module


def _logical_disk(world: World) -> NetObject:
    bag: dict[str, object] = {
        "DeviceID": "C:",
        "Name": "C:",
        "DriveType": UInt32(3),
        "FileSystem": "NTFS",
        "Size": UInt64(world.options.disk),
        "FreeSpace": UInt64(free_disk(world)),
        "VolumeName": "",
    }
    return _instance("Win32_LogicalDisk", bag, "C:")


CLASSES: dict[str, Callable[[World], NetObject]] = {
    "win32_operatingsystem": _operating_system,
    "win32_computersystem": _computer_system,
    "win32_processor": _processor,
    "win32_logicaldisk": _logical_disk,
}
"""By name in lower case."""
