"""What a Hyper-V host tells about itself, asked in two round trips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from pytest_hyperv.errors import AccessDenied, HostError
from pytest_hyperv.psrp.calls import Call, Command, Runnable, Select, Statement
from pytest_hyperv.psrp.dotnet import PSObject
from pytest_hyperv.psrp.records import ErrorRecord
from pytest_hyperv.psrp.result import PowerShellResult

SYSTEM_TIMEOUT = 60.0
"""Seconds that WMI may take to tell about the system."""
MODULE_TIMEOUT = 180.0
"""Seconds the Hyper-V module may take to load and answer: tens of seconds have been reported on a cold host."""

SERVER_2022 = 20348
"""The build from which Hyper-V nests on AMD and has Get-VMHostPartitionableGpu; Windows 11 has a higher one."""
CLIENT = 1
"""Win32_OperatingSystem.ProductType of a workstation; 2 and 3 are servers."""


class Asks(Protocol):
    """Runs calls on a host: a session, or what keeps one open."""

    def run(self, what: Runnable, *, timeout: float) -> PowerShellResult:
        """Run a call to its end; errors of the call are in the result."""
        ...


@dataclass(frozen=True)
class Switch:
    """A virtual switch; ``kind`` is "Private", "Internal" or "External"."""

    id: UUID
    name: str
    kind: str


@dataclass(frozen=True)
class HypervFacts:
    """What a host told. Sizes in bytes; ``disk`` is free where its virtual hard disks lie, 0 when that is no drive.

    While ``hypervisor`` is true, ``firmware`` and ``slat`` say nothing: see
    :func:`~pytest_hyperv.backends.hyperv.offer.prerequisites`. ``refused`` and ``failed`` are why Get-VMHost gave
    nothing: no rights, or anything else.
    """

    host: str
    caption: str
    build: int
    edition: str
    memory: int
    cpus: int
    processor: str
    hypervisor: bool
    firmware: bool
    slat: bool
    module: str = ""
    disk_path: str = ""
    disk: int = 0
    refused: str = ""
    failed: str = ""
    sr_iov: bool = False
    sr_iov_reasons: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    switches: tuple[Switch, ...] = ()

    @property
    def summary(self) -> str:
        """The host in one line."""
        module = f"Hyper-V module {self.module}" if self.module else "no Hyper-V module"
        return f"{self.caption} (build {self.build}), {module}"


def system_call() -> Call:
    """Everything about the system that needs no Hyper-V."""
    return _all(
        _cim("Win32_OperatingSystem", "Caption", "BuildNumber", "ProductType"),
        _cim("Win32_ComputerSystem", "HypervisorPresent", "TotalPhysicalMemory", "NumberOfLogicalProcessors"),
        _cim(
            "Win32_Processor",
            "Manufacturer",
            "VirtualizationFirmwareEnabled",
            "SecondLevelAddressTranslationExtensions",
        ),
        _cim("Win32_LogicalDisk", "DeviceID", "FreeSpace", Filter="DriveType=3"),
        Command("Get-Module", Name="Hyper-V", ListAvailable=True, ErrorAction="Continue") | Select("Name", "Version"),
    )


def hyperv_call(build: int) -> Call:
    """Everything that the Hyper-V module of this build of Windows knows about its host."""
    statements = [
        Statement((Command("Import-Module", Name="Hyper-V", ErrorAction="Continue"),)),
        Command("Hyper-V\\Get-VMHost", ErrorAction="Continue")
        | Select("VirtualHardDiskPath", "IovSupport", "IovSupportReasons"),
        Command("Hyper-V\\Get-VMSwitch", ErrorAction="Continue") | Select("Id", "Name", "SwitchType"),
    ]
    if build >= SERVER_2022:
        statements.append(Command("Hyper-V\\Get-VMHostPartitionableGpu", ErrorAction="Continue") | Select("Name"))
    return _all(*statements)


def probe(session: Asks, host_name: str) -> HypervFacts:
    """Ask a host what it is and has, in two round trips, or one where the module is missing.

    Raises AccessDenied or CmdletError when not even the system can be asked, CommandTimeout, SessionLost.
    """
    told = session.run(system_call(), timeout=SYSTEM_TIMEOUT)
    system, computer = _first(told, "ProductType"), _first(told, "HypervisorPresent")
    processor = _first(told, "VirtualizationFirmwareEnabled")
    if system is None or computer is None or processor is None:
        raise _mute(told, host_name)
    modules = [found.Version for found in told.output if _is(found, "Version")]
    drives = {str(found.DeviceID).upper(): int(found.FreeSpace or 0) for found in told.output if _is(found, "DeviceID")}
    build = int(system.BuildNumber)
    known: dict[str, Any] = {
        "host": host_name,
        "caption": str(system.Caption).strip(),
        "build": build,
        "edition": "client" if int(system.ProductType) == CLIENT else "server",
        "memory": int(computer.TotalPhysicalMemory),
        "cpus": int(computer.NumberOfLogicalProcessors),
        "processor": str(processor.Manufacturer),
        "hypervisor": bool(computer.HypervisorPresent),
        "firmware": bool(processor.VirtualizationFirmwareEnabled),
        "slat": bool(processor.SecondLevelAddressTranslationExtensions),
        "module": str(max(modules)) if modules else "",
    }
    if not modules:
        return HypervFacts(**known)
    return HypervFacts(**known, **_of_hyperv(session.run(hyperv_call(build), timeout=MODULE_TIMEOUT), drives))


def _of_hyperv(told: PowerShellResult, drives: Mapping[str, int]) -> dict[str, Any]:
    host = _first(told, "VirtualHardDiskPath")
    if host is None:
        errors = told.errors or [ErrorRecord("Get-VMHost gave nothing")]
        denied = next((error for error in errors if error.category == "PermissionDenied"), None)
        return {"refused": denied.message} if denied else {"failed": errors[0].message}
    path = str(host.VirtualHardDiskPath)
    return {
        "disk_path": path,
        "disk": drives.get(path[:2].upper(), 0),
        "sr_iov": bool(host.IovSupport),
        "sr_iov_reasons": tuple(str(reason) for reason in _many(host.IovSupportReasons)),
        "switches": tuple(
            Switch(UUID(str(found.Id)), str(found.Name), str(found.SwitchType))
            for found in told.output
            if _is(found, "SwitchType")
        ),
        "gpus": tuple(str(found.Name) for found in told.output if isinstance(found, PSObject) and [*found] == ["Name"]),
    }


def _cim(kind: str, *properties: str, **parameters: str) -> Statement:
    return Command("Get-CimInstance", ClassName=kind, ErrorAction="Continue", **parameters) | Select(*properties)


def _all(first: Statement, *others: Statement) -> Call:
    """One call in which a statement's error does not keep the next one from running: each says so itself."""
    call = Call(first)
    for statement in others:
        call = call.then(statement)
    return call


def _is(found: object, name: str) -> bool:
    return isinstance(found, PSObject) and name in found


def _first(told: PowerShellResult, name: str) -> PSObject | None:
    return next((found for found in told.output if _is(found, name)), None)


def _many(value: object) -> Iterable[object]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)


def _mute(told: PowerShellResult, host: str) -> HostError:
    """Why a host told nothing about itself."""
    error = next(iter(told.errors), ErrorRecord("WMI gave nothing"))
    if error.category == "PermissionDenied":
        return AccessDenied(
            f"The account may not ask {host} about itself: {error.message}",
            hint="Put it into Administrators, or into Hyper-V Administrators and Remote Management Users.",
            host=host,
        )
    return error.cmdlet_error("Get-CimInstance", host)
