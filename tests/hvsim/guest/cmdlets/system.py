"""Cmdlets for the system: time, services, processes, power, and what the machine is like.

The facts of the machine are those of its settings on the host: memory, processors, Secure Boot, TPM, adapters.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tests.hvsim.engine.values import Byte, EnumValue, UInt32, UInt64
from tests.hvsim.guest.cmdlets.command import Command, Context
from tests.hvsim.guest.identity import COMPUTER, OS_NAME, OS_VERSION
from tests.hvsim.guest.operators import like, listed, number, text
from tests.hvsim.guest.processes import end_processes, processes
from tests.hvsim.guest.services import SERVICES, Service, Status, set_status, status
from tests.hvsim.guest.system import Opened
from tests.hvsim.guest.system_programs import go_down
from tests.hvsim.host.switches import DEFAULT_SWITCH, addresses
from tests.hvsim.values import NetObject

_SERVICE_STATUS = {"Stopped": 1, "Running": 4}
START_TYPES = {True: ("Automatic", 2), False: ("Manual", 3)}
"""Of System.ServiceProcess.ServiceStartMode, by whether a service starts with the system."""
_CIM = "Microsoft.Management.Infrastructure.CimInstance"
TPM_VERSION = "2.0, 0, 1.38"


def start_sleep(context: Context) -> Iterator[Any]:
    """Let time pass."""
    yield from ()
    milliseconds = context.get("Milliseconds")
    seconds = number(context.get("Seconds") or 0) if milliseconds is None else number(milliseconds) / 1000
    context.shell.system.wait(float(seconds))


def get_date(context: Context) -> Iterator[Any]:
    """The guest's clock."""
    now = context.shell.system.utc_now()
    style = context.get("Format") or context.get("UFormat")
    names = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
    if style is None:
        yield now
        return
    written = text(style)
    for name, code in names.items():
        written = written.replace(name, code)
    yield now.isoformat() if text(style) == "o" else time.strftime(written, now.timetuple())


def set_date(context: Context) -> Iterator[Any]:
    """Set the guest's clock."""
    when = context.get("Date")
    assert isinstance(when, datetime)
    context.shell.system.set_clock(when if when.tzinfo else when.replace(tzinfo=UTC))
    yield when


def _service_object(known: Service, state: Status) -> NetObject:
    return NetObject(
        ("System.ServiceProcess.ServiceController", "System.ComponentModel.Component", "System.Object"),
        {
            "Name": known.name,
            "DisplayName": known.display,
            "Status": EnumValue("System.ServiceProcess.ServiceControllerStatus", state, _SERVICE_STATUS[state]),
            "StartType": EnumValue(
                "System.ServiceProcess.ServiceStartMode", *START_TYPES[known.automatic]
            ),
        },
        known.name,
    )  # fmt: skip


def _wanted_services(context: Context) -> list[Service]:
    found: list[Service] = []
    for name in [text(name) for name in listed(context.get("Name")) or context.items()] or ["*"]:
        fitting = [known for known in SERVICES if like(known.name, name)]
        if not fitting and "*" not in name:
            context.error(
                f"Cannot find any service with service name '{name}'.", "NoServiceFoundForGivenName", "ObjectNotFound",
                exception="Microsoft.PowerShell.Commands.ServiceCommandException", target=name,
                class_name="Microsoft.PowerShell.Commands.GetServiceCommand",
            )  # fmt: skip
        found += fitting
    return found


def get_service(context: Context) -> Iterator[Any]:
    """Services by name or wildcard."""
    for known in _wanted_services(context):
        with context.shell.system.open() as guest:
            state = status(guest.memory, known)
        yield _service_object(known, state)


def _change_services(to: Status) -> Any:
    def change(context: Context) -> Iterator[Any]:
        """Start or stop services."""
        yield from ()
        for known in _wanted_services(context):
            with context.shell.system.open() as guest:
                set_status(guest.memory, known, to)

    return change


def get_process(context: Context) -> Iterator[Any]:
    """What runs, by name or id."""
    names = [text(name).removesuffix(".exe") for name in listed(context.get("Name"))]
    pids = [int(number(pid)) for pid in listed(context.get("Id"))]
    with context.shell.system.open() as guest:
        running = [(pid, image.removesuffix(".exe")) for pid, image in processes(guest)]
    running.append((context.shell.session.pid, "powershell"))
    found = [
        (pid, name) for pid, name in running
        if (not names and not pids) or pid in pids or any(like(name, wanted) for wanted in names)
    ]  # fmt: skip
    if not found:
        wanted = names[0] if names else str(pids[0])
        context.error(
            f'Cannot find a process with the name "{wanted}". Verify the process name and call the cmdlet again.',
            "NoProcessFoundForGivenName" if names else "NoProcessFoundForGivenId", "ObjectNotFound", target=wanted,
            exception="Microsoft.PowerShell.Commands.ProcessCommandException",
            class_name="Microsoft.PowerShell.Commands.GetProcessCommand",
        )  # fmt: skip
    for pid, name in found:
        properties = {"Id": pid, "ProcessName": name, "Name": name}
        yield NetObject(
            ("System.Diagnostics.Process", "System.Object"), properties, f"System.Diagnostics.Process ({name})"
        )


def stop_process(context: Context) -> Iterator[Any]:
    """End programs by name or id."""
    yield from ()
    with context.shell.system.open() as guest:
        for name in listed(context.get("Name")):
            end_processes(guest, image=text(name).removesuffix(".exe") + ".exe")
        for pid in listed(context.get("Id")):
            end_processes(guest, pid=int(number(pid)))


def _power(*, restart: bool) -> Any:
    def go(context: Context) -> Iterator[Any]:
        """Let the guest restart, or go off."""
        yield from ()
        with context.shell.system.open() as guest:
            go_down(guest, restart=restart)

    return go


def get_cim(context: Context) -> Iterator[Any]:
    """One class of CIM objects."""
    name = text(context.get("ClassName"))
    with context.shell.system.open() as guest:
        found = _cim_objects(guest, name.casefold())
    if found is None:
        context.error(
            "Invalid class", "HRESULT 0x80041010", "MetadataError", target=name,
            exception="Microsoft.Management.Infrastructure.CimException",
            class_name="Microsoft.Management.Infrastructure.CimCmdlets.GetCimInstanceCommand",
        )  # fmt: skip
        return
    for properties in found:
        yield NetObject((f"{_CIM}#{name}", _CIM, "System.Object"), properties, name)


def _cim_objects(guest: Opened, name: str) -> list[dict[str, object]] | None:
    settings = guest.vm.settings
    gone_by = guest.world.now - guest.vm.booted_at
    booted = datetime.fromtimestamp(guest.now - gone_by, UTC)
    known: dict[str, list[dict[str, object]]] = {
        "win32_operatingsystem": [
            {
                "Caption": OS_NAME, "Version": OS_VERSION.removesuffix(".0"), "BuildNumber": OS_VERSION.split(".")[2],
                "CSName": COMPUTER, "LastBootUpTime": booted, "LocalDateTime": datetime.fromtimestamp(guest.now, UTC),
            }
        ],
        "win32_computersystem": [
            {
                "Name": COMPUTER, "Manufacturer": "Microsoft Corporation", "Model": "Virtual Machine",
                "TotalPhysicalMemory": UInt64(settings.ram.startup), "HypervisorPresent": True,
                "NumberOfLogicalProcessors": UInt32(settings.processor.count), "NumberOfProcessors": UInt32(1),
            }
        ],
        "win32_processor": [
            {
                "Name": "Simulated processor", "NumberOfCores": UInt32(settings.processor.count),
                "VirtualizationFirmwareEnabled": settings.processor.nested,
                "SecondLevelAddressTranslationExtensions": settings.processor.nested,
            }
        ],
        "win32_tpm": [{"SpecVersion": TPM_VERSION, "IsEnabled_InitialValue": True}] if settings.security.tpm else [],
    }  # fmt: skip
    return known.get(name)


def get_computer_info(context: Context) -> Iterator[Any]:
    """A few facts of the computer."""
    facts: dict[str, object] = {
        "BiosFirmwareType": EnumValue("Microsoft.PowerShell.Commands.FirmwareType", "Uefi", 2),
        "CsName": COMPUTER,
        "OsName": OS_NAME,
        "OsVersion": OS_VERSION.removesuffix(".0"),
    }
    wanted = [text(name) for name in listed(context.get("Property"))] or ["*"]
    chosen = {name: value for name, value in facts.items() if any(like(name, each) for each in wanted)}
    yield NetObject(("Microsoft.PowerShell.Commands.ComputerInfo", "System.Object"), chosen)


def confirm_secure_boot(context: Context) -> Iterator[Any]:
    """Whether the machine was started with Secure Boot."""
    with context.shell.system.open() as guest:
        yield guest.vm.settings.firmware.secure_boot


def get_adapters(context: Context) -> Iterator[Any]:
    """The network adapters."""
    with context.shell.system.open() as guest:
        adapters = list(guest.vm.settings.adapters)
    for place, adapter in enumerate(adapters):
        mac = "-".join(adapter.mac[at : at + 2] for at in range(0, 12, 2))
        yield NetObject(
            (f"{_CIM}#MSFT_NetAdapter", _CIM, "System.Object"),
            {
                "Name": "Ethernet" if not place else f"Ethernet {place + 1}",
                "MacAddress": mac,
                "Status": "Up" if adapter.switch else "Disconnected",
            },
        )


def get_addresses(context: Context) -> Iterator[Any]:
    """The IPv4 addresses of the adapters, and the loopback's."""
    for address, prefix in [*((address, 24) for _, address in _ipv4(context)), ("127.0.0.1", 8)]:
        found = {"IPAddress": address, "PrefixLength": Byte(prefix)}
        yield NetObject((f"{_CIM}#MSFT_NetIPAddress", _CIM, "System.Object"), found)


def get_routes(context: Context) -> Iterator[Any]:
    """The ways to the networks of the adapters, and on from the Default Switch, which has a DHCP server."""
    for switch, address in _ipv4(context):
        near = f"{address.rpartition('.')[0]}.0/24"
        for target in (near, "0.0.0.0/0") if switch == DEFAULT_SWITCH else (near,):
            yield NetObject((f"{_CIM}#MSFT_NetRoute", _CIM, "System.Object"), {"DestinationPrefix": target})


def _ipv4(context: Context) -> list[tuple[str | None, str]]:
    with context.shell.system.open() as guest:
        return [
            (adapter.switch, address)
            for adapter in guest.vm.settings.adapters
            for address in addresses(guest.world, guest.vm, adapter)
            if ":" not in address
        ]


_SERVICE = ("Name",)
COMMANDS = {
    "Start-Sleep": Command(start_sleep, ("Seconds",), ("Milliseconds",), aliases={"s": "Seconds", "m": "Milliseconds"}),
    "Get-Date": Command(get_date, ("Date",), ("Format", "UFormat")),
    "Set-Date": Command(set_date, ("Date",)),
    "Get-Service": Command(get_service, _SERVICE),
    "Start-Service": Command(_change_services("Running"), _SERVICE, switches=("PassThru",)),
    "Stop-Service": Command(_change_services("Stopped"), _SERVICE, switches=("Force", "PassThru")),
    "Get-Process": Command(get_process, ("Name",), ("Id",)),
    "Stop-Process": Command(stop_process, ("Id",), ("Name",), ("Force",)),
    "Restart-Computer": Command(_power(restart=True), switches=("Force",)),
    "Stop-Computer": Command(_power(restart=False), switches=("Force",)),
    "Get-CimInstance": Command(get_cim, ("ClassName",), ("Namespace", "Filter", "Property")),
    "Get-ComputerInfo": Command(get_computer_info, ("Property",)),
    "Confirm-SecureBootUEFI": Command(confirm_secure_boot),
    "Get-NetAdapter": Command(get_adapters, ("Name",)),
    "Get-NetIPAddress": Command(get_addresses, (), ("AddressFamily",)),
    "Get-NetRoute": Command(get_routes, (), ("AddressFamily",)),
}
