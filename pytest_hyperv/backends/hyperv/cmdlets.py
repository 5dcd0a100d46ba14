"""The vocabulary: every command this backend sends to a host, as data. Machines are addressed by GUID, never by name.

Sources: the Hyper-V module's reference pages for Windows Server 2019, 2022 and 2025. ``Hyper-V\\\\`` is written before
its commands because other modules define the same names.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pytest_hyperv.psrp.calls import Call, Command, Select, Statement
from pytest_hyperv.spec import MachineSpec

TEMPLATES = {"windows": "MicrosoftWindows", "uefi-ca": "MicrosoftUEFICertificateAuthority"}
"""Secure Boot templates by the words of a spec."""

DEFAULT_SWITCH = "Default Switch"
"""The switch with a network through the host that client Windows has."""

GUEST_FILES = "6C09BB55-D683-4DA0-8931-C9BF705F6480"
"""The guest service interface, by the GUID at the end of its Id: names of integration services are localised."""

SEEN = (
    "Id",
    "Name",
    "State",
    "OperationalStatus",
    "Heartbeat",
    "Path",
    "Notes",
    "ParentCheckpointId",
    "CheckpointType",
)
"""Properties of a machine that travel."""
POINT = ("Id", "Name", "ParentSnapshotId", "SnapshotType", "State", "CreationTime")
"""Properties of a checkpoint that travel."""
SWITCH = ("Id", "Name", "Notes")
"""Properties of a switch that travel."""


def hyperv(name: str, **parameters: Any) -> Command:
    """A command of the Hyper-V module."""
    return Command(f"Hyper-V\\{name}", **parameters)


def machine(ident: UUID) -> Command:
    """The machine itself, to be piped into what is done with it."""
    return hyperv("Get-VM", Id=ident)


def seen(ident: UUID) -> Statement:
    """What is to be known of a machine."""
    return machine(ident) | Select(*SEEN)


def all_machines() -> Statement:
    """Every machine of the host, as far as the account may see them."""
    return hyperv("Get-VM") | Select(*SEEN)


# -- folders and disks


def folder(path: str) -> Statement:
    """Make a folder with those above it; one that exists is fine."""
    return Command("New-Item", Path=path, ItemType="Directory", Force=True) | Command("Out-Null")


def removed(path: str) -> Command:
    """Remove a file or a folder with everything below it."""
    return Command("Remove-Item", LiteralPath=path, Recurse=True, Force=True)


def exists(path: str) -> Command:
    """Whether there is a file or folder."""
    return Command("Test-Path", LiteralPath=path)


def copied(source: str, target: str) -> Statement:
    """Copy a file of the host to a new place; its folder must be there."""
    return Command("Copy-Item", LiteralPath=source, Destination=target) | Command("Out-Null")


def read_only(path: str) -> Command:
    """Mark a file as one that is not to change."""
    return Command("Set-ItemProperty", LiteralPath=path, Name="IsReadOnly", Value=True)


def child_disk(path: str, parent: str) -> Statement:
    """A differencing disk. Neither Dynamic nor Fixed belongs to this parameter set."""
    made = hyperv("New-VHD", Path=path, ParentPath=parent, Differencing=True)
    return made | Select("Path", "ParentPath", "VhdType")


# -- making


def created(name: str, spec: MachineSpec, *, disk: str, path: str) -> Statement:
    """A machine of the second generation that is off, with one disk and one adapter that leads nowhere."""
    made = hyperv(
        "New-VM",
        Name=name,
        Generation=2,
        MemoryStartupBytes=spec.memory,
        VHDPath=disk,
        Path=path,
        BootDevice="VHD",
    )
    return made | Select("Id", "Name", "Path")


def configured(ident: UUID, spec: MachineSpec, notes: str, *, console: str, guest_files: bool) -> Call:
    """Everything New-VM cannot say. Each part may be said again to a machine that is off.

    ``console`` is the name of the pipe on COM 1, "" for none. Processors come first: on recent builds other processor
    settings fail before the count is set (LISA). Dynamic memory and automatic checkpoints are on by default on client
    Windows, so both are always said.
    """
    call = (
        machine(ident)
        | hyperv(
            "Set-VM",
            ProcessorCount=spec.cpus,
            AutomaticCheckpointsEnabled=False,
            CheckpointType="Standard",
            AutomaticStartAction="Nothing",
            AutomaticStopAction="TurnOff",
            Notes=notes,
        )
    ).then(_memory(ident, spec))
    if spec.nested:
        call = call.then(machine(ident) | hyperv("Set-VMProcessor", ExposeVirtualizationExtensions=True))
    call = call.then(machine(ident) | hyperv("Set-VMFirmware", **_firmware(spec)))
    if spec.tpm:
        call = call.then(new_protector(ident))
        call = call.then(machine(ident) | hyperv("Enable-VMTPM"))
    call = _network(call, ident, spec)
    if console:
        call = call.then(machine(ident) | hyperv("Set-VMComPort", Number=1, Path=f"\\\\.\\pipe\\{console}"))
    if guest_files:
        call = call.then(service(ident, GUEST_FILES) | hyperv("Enable-VMIntegrationService"))
    return call


def _memory(ident: UUID, spec: MachineSpec) -> Statement:
    if spec.dynamic_memory is None:
        return machine(ident) | hyperv("Set-VMMemory", DynamicMemoryEnabled=False, StartupBytes=spec.memory)
    low, high = spec.dynamic_memory
    return machine(ident) | hyperv(
        "Set-VMMemory", DynamicMemoryEnabled=True, MinimumBytes=low, StartupBytes=spec.memory, MaximumBytes=high
    )


def _firmware(spec: MachineSpec) -> dict[str, str]:
    if spec.secure_boot == "off":
        return {"EnableSecureBoot": "Off"}
    return {"EnableSecureBoot": "On", "SecureBootTemplate": TEMPLATES[spec.secure_boot]}


def _network(call: Call, ident: UUID, spec: MachineSpec) -> Call:
    """New-VM leaves one adapter: it goes, is led to a switch, or waits for the private one of a test."""
    adapters = machine(ident) | hyperv("Get-VMNetworkAdapter")
    if spec.network == "none":
        return call.then(adapters | hyperv("Remove-VMNetworkAdapter"))
    if spec.network != "private":
        switch = DEFAULT_SWITCH if spec.network == "nat" else spec.network.removeprefix("switch:")
        call = call.then(connected(ident, switch))
    return call.then(adapters | hyperv("Set-VMNetworkAdapter", MacAddressSpoofing="On")) if spec.nested else call


def connected(ident: UUID, switch: str) -> Statement:
    """Lead the adapter of a machine, which may run, to the switch of that name."""
    return machine(ident) | hyperv("Get-VMNetworkAdapter") | hyperv("Connect-VMNetworkAdapter", SwitchName=switch)


def private_switch(name: str, notes: str) -> Statement:
    """A switch for machines alone: the host is not on it, nor is any network of its."""
    return hyperv("New-VMSwitch", Name=name, SwitchType="Private", Notes=notes) | Select(*SWITCH)


def private_switches() -> Statement:
    """Every private switch of the host."""
    return hyperv("Get-VMSwitch", SwitchType="Private") | Select(*SWITCH)


def switch_removed(ident: UUID) -> Statement:
    """Remove a switch; adapters that led to it lead nowhere then."""
    return hyperv("Get-VMSwitch", Id=ident) | hyperv("Remove-VMSwitch", Force=True)


def service(ident: UUID, guid: str) -> Statement:
    """One integration service of a machine, whatever the host's language."""
    services = machine(ident) | hyperv("Get-VMIntegrationService")
    return services | Command("Where-Object", Property="Id", Like=True, Value=f"*{guid}")


# -- power


def started(ident: UUID) -> Call:
    """Start, or resume from a saved state; then the host's time before it, and what is to be known."""
    return now().then(machine(ident) | hyperv("Start-VM")).then(seen(ident))


def now() -> Command:
    """The host's time."""
    return Command("Get-Date")


def turned_off(ident: UUID) -> Statement:
    """Cut the power. A machine that is off stays so, and a saved one, which has none and would refuse, stays saved."""
    powered = machine(ident) | Command("Where-Object", Property="State", NE=True, Value="Saved")
    return powered | hyperv("Stop-VM", TurnOff=True, Force=True)


def shut_down(ident: UUID) -> Statement:
    """Ask the guest to power off. The command waits for it, up to five minutes."""
    return machine(ident) | hyperv("Stop-VM", Force=True)


def paused(ident: UUID) -> Statement:
    """Stop the processors; memory stays."""
    return machine(ident) | hyperv("Suspend-VM")


def resumed(ident: UUID) -> Statement:
    """Let a paused machine run on."""
    return machine(ident) | hyperv("Resume-VM")


def saved(ident: UUID) -> Statement:
    """Write memory to disk and stop; Start-VM resumes it."""
    return machine(ident) | hyperv("Save-VM")


# -- checkpoints


def checkpoint_type(ident: UUID, kind: str) -> Statement:
    """What the next checkpoint holds: Standard, ProductionOnly, Disabled. Checkpoint-VM has no such parameter."""
    return machine(ident) | hyperv("Set-VM", CheckpointType=kind)


def checkpoint_taken(ident: UUID, name: str) -> Statement:
    """A checkpoint of that name."""
    return machine(ident) | hyperv("Checkpoint-VM", SnapshotName=name, Passthru=True) | Select(*POINT)


def points(ident: UUID) -> Statement:
    """All checkpoints of a machine."""
    return machine(ident) | hyperv("Get-VMSnapshot") | Select(*POINT)


def point(ident: UUID) -> Command:
    """One checkpoint, to be piped into what is done with it."""
    return hyperv("Get-VMSnapshot", Id=ident)


def point_applied(ident: UUID) -> Statement:
    """Go back to a checkpoint. The machine must not run; it is then saved, or off."""
    return point(ident) | hyperv("Restore-VMSnapshot", Confirm=False)


def point_removed(ident: UUID, *, with_children: bool = False) -> Statement:
    """Forget a checkpoint; its disk is merged after the command has returned."""
    more = {"IncludeAllChildSnapshots": True} if with_children else {}
    return point(ident) | hyperv("Remove-VMSnapshot", Confirm=False, **more)


def others_removed(machine_id: UUID, kept: UUID) -> Statement:
    """Forget every checkpoint of a machine but one."""
    others = (
        machine(machine_id) | hyperv("Get-VMSnapshot") | Command("Where-Object", Property="Id", NE=True, Value=kept)
    )
    return others | hyperv("Remove-VMSnapshot", Confirm=False)


# -- the end, and moving


def machine_removed(ident: UUID) -> Statement:
    """Remove the machine; its disks stay, and merge when it had checkpoints."""
    return machine(ident) | hyperv("Remove-VM", Force=True)


def exported(ident: UUID, path: str) -> Statement:
    """Write a machine with its disks and checkpoints below a folder."""
    return machine(ident) | hyperv("Export-VM", Path=path)


def imported(configuration: str, path: str) -> Statement:
    """A machine of its own from an export: a copy with a GUID of its own, all its files below ``path``."""
    made = hyperv(
        "Import-VM",
        Path=configuration,
        Copy=True,
        GenerateNewId=True,
        VirtualMachinePath=path,
        VhdDestinationPath=path,
        SnapshotFilePath=path,
        SmartPagingFilePath=path,
    )
    return made | Select("Id", "Name", "Path")


def renamed(ident: UUID, name: str, notes: str) -> Call:
    """Give a machine another name and owner's note."""
    return Call(machine(ident) | hyperv("Set-VM", NewVMName=name, Notes=notes))


def new_protector(ident: UUID) -> Statement:
    """A key protector of this host's own."""
    return machine(ident) | hyperv("Set-VMKeyProtector", NewLocalKeyProtector=True)


# -- guest and evidence


def addresses(ident: UUID) -> Statement:
    """The guest's addresses, as it tells them through the key-value service."""
    return machine(ident) | hyperv("Get-VMNetworkAdapter") | Select("MacAddress", "IPAddresses", "SwitchName")


def file_copied(ident: UUID, source: str, target: str) -> Statement:
    """A file of the host into the guest, through the guest service interface."""
    return machine(ident) | hyperv(
        "Copy-VMFile", SourcePath=source, DestinationPath=target, FileSource="Host", CreateFullPath=True, Force=True
    )


def events(logs: Sequence[str], ids: Sequence[int], since: datetime.datetime) -> Statement:
    """Entries of the host's event logs. None at all is an error: NoMatchingEventsFound.

    One filter for each log and number: a list within a filter arrives as an ArrayList, which Get-WinEvent takes for
    one text (PowerShell issue 13108).
    """
    wanted = [{"LogName": log, "Id": number, "StartTime": since} for log in logs for number in ids]
    return Command("Get-WinEvent", FilterHashtable=wanted) | Select("Id", "TimeCreated", "Message")
