"""Every command the backend sends, bound as PowerShell does by the documented contracts of three Windows Servers."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, get_args
from uuid import UUID

import pytest

from pytest_hyperv.backends.hyperv import cmdlets, probe
from pytest_hyperv.backends.hyperv.cmdlets import hyperv, machine
from pytest_hyperv.psrp.calls import Call, Command, Runnable, Select
from pytest_hyperv.spec import GIB, MIB, MachineSpec
from tests.hvsim.binder import NOTHING, BindingError, Bound, NetObject, bind
from tests.hvsim.contract import Contract, ServerVersion

VERSIONS: tuple[ServerVersion, ...] = get_args(ServerVersion)
BUILDS: dict[ServerVersion, int] = {"2019": 17763, "2022": 20348, "2025": 26100}
IDENT, OTHER = UUID("0e2a9f9c-6f0d-4d0e-9a58-5f5c2f5f6b11"), UUID("5f0d6a1e-93c5-4d39-8f8c-a3d2ba5a9d02")
NAME = "hyperv-0e2a9f9c"
FOLDER = "C:\\Hyper-V\\pytest-hyperv\\machines\\0e2a9f9c"
DISK = f"{FOLDER}\\{NAME}.vhdx"
SINCE = datetime.datetime(2026, 11, 23, 10, 0)

SPECS = {
    "plain": MachineSpec(),
    "large": MachineSpec(memory=64 * GIB, cpus=32),
    "dynamic memory": MachineSpec(memory=2 * GIB, dynamic_memory=(512 * MIB, 8 * GIB)),
    "windows' Secure Boot": MachineSpec(secure_boot="windows"),
    "Linux's Secure Boot": MachineSpec(secure_boot="uefi-ca"),
    "TPM": MachineSpec(tpm=True, secure_boot="windows"),
    "nested": MachineSpec(nested=True, memory=4 * GIB, cpus=2),
    "NAT": MachineSpec(network="nat"),
    "a switch": MachineSpec(network="switch:Büro 1"),
    "a private network": MachineSpec(network="private"),
    "nested on a private network": MachineSpec(nested=True, network="private"),
    "nested with NAT": MachineSpec(nested=True, network="nat"),
    "everything": MachineSpec(
        memory=4 * GIB, cpus=4, secure_boot="windows", tpm=True, nested=True, network="switch:lab"
    ),
}


def created(spec: MachineSpec) -> Runnable:
    return cmdlets.created(NAME, spec, disk=DISK, path=FOLDER)


def configured(spec: MachineSpec, console: str = f"{NAME}-com1", guest_files: bool = True) -> Runnable:
    return cmdlets.configured(IDENT, spec, "a note", console=console, guest_files=guest_files)


CALLS: dict[str, Callable[[], Runnable]] = {
    "hyperv": lambda: hyperv("Get-VMHost"),
    "machine": lambda: machine(IDENT),
    "seen": lambda: cmdlets.seen(IDENT),
    "all_machines": cmdlets.all_machines,
    "folder": lambda: cmdlets.folder(FOLDER),
    "removed": lambda: cmdlets.removed(FOLDER),
    "exists": lambda: cmdlets.exists(DISK),
    "copied": lambda: cmdlets.copied("C:\\a.vhdx", "C:\\b.vhdx"),
    "read_only": lambda: cmdlets.read_only(DISK),
    "child_disk": lambda: cmdlets.child_disk(DISK, "C:\\golden.vhdx"),
    "new_protector": lambda: cmdlets.new_protector(IDENT),
    "renamed": lambda: cmdlets.renamed(IDENT, "another", "a note"),
    "service": lambda: cmdlets.service(IDENT, cmdlets.GUEST_FILES),
    "started": lambda: cmdlets.started(IDENT),
    "now": cmdlets.now,
    "turned_off": lambda: cmdlets.turned_off(IDENT),
    "shut_down": lambda: cmdlets.shut_down(IDENT),
    "paused": lambda: cmdlets.paused(IDENT),
    "resumed": lambda: cmdlets.resumed(IDENT),
    "saved": lambda: cmdlets.saved(IDENT),
    "checkpoint_type": lambda: cmdlets.checkpoint_type(IDENT, "Standard"),
    "checkpoint_type without memory": lambda: cmdlets.checkpoint_type(IDENT, "ProductionOnly"),
    "checkpoint_type none": lambda: cmdlets.checkpoint_type(IDENT, "Disabled"),
    "checkpoint_taken": lambda: cmdlets.checkpoint_taken(IDENT, "pytest-hyperv: clean"),
    "points": lambda: cmdlets.points(IDENT),
    "point": lambda: cmdlets.point(OTHER),
    "point_applied": lambda: cmdlets.point_applied(OTHER),
    "point_removed": lambda: cmdlets.point_removed(OTHER),
    "point_removed with children": lambda: cmdlets.point_removed(OTHER, with_children=True),
    "others_removed": lambda: cmdlets.others_removed(IDENT, OTHER),
    "machine_removed": lambda: cmdlets.machine_removed(IDENT),
    "exported": lambda: cmdlets.exported(IDENT, "D:\\export"),
    "imported": lambda: cmdlets.imported("D:\\export\\x.vmcx", FOLDER),
    "addresses": lambda: cmdlets.addresses(IDENT),
    "connected": lambda: cmdlets.connected(IDENT, f"pytest-hyperv {OTHER}"),
    "private_switch": lambda: cmdlets.private_switch(f"pytest-hyperv {OTHER}", "a note"),
    "private_switches": cmdlets.private_switches,
    "switch_removed": lambda: cmdlets.switch_removed(OTHER),
    "file_copied": lambda: cmdlets.file_copied(IDENT, "C:\\a.txt", "C:\\b\\a.txt"),
    "events": lambda: cmdlets.events(["Microsoft-Windows-Hyper-V-Worker-Admin"], [18590, 18560], SINCE),
    **{f"created: {kind}": partial(created, spec) for kind, spec in SPECS.items()},
    **{f"configured: {kind}": partial(configured, spec) for kind, spec in SPECS.items()},
    "configured without a console": partial(configured, MachineSpec(), console="", guest_files=False),
}


def net(kind: str, *bases: str, **properties: object) -> NetObject:
    space = "" if "." in kind else "Microsoft.HyperV.PowerShell."
    names = [f"{space}{name}" for name in (kind, *bases)]
    return NetObject((*names, "System.Object"), properties)


SHARED = {"Name": NAME, "Id": IDENT, "VMName": NAME, "VMId": IDENT, "ComputerName": "HV01", "Path": FOLDER, "Notes": ""}
VM = net("VirtualMachine", "VirtualMachineBase", "VirtualizationObject", **SHARED, Generation=2, ProcessorCount=1)
SNAPSHOT = net("VMSnapshot", "VirtualMachineBase", "VirtualizationObject", **SHARED, ParentSnapshotId=None)
ADAPTER = net("VMNetworkAdapter", "VMNetworkAdapterBase", "VirtualizationObject", **SHARED, SwitchName="lab")
SERVICE = net("VMIntegrationComponent", "VirtualizationObject", **SHARED, Enabled=False)
GIVES = {
    "Get-VM": VM,
    "New-VM": VM,
    "Import-VM": VM,
    "Get-VMSnapshot": SNAPSHOT,
    "Checkpoint-VM": SNAPSHOT,
    "Get-VMNetworkAdapter": ADAPTER,
    "Get-VMIntegrationService": SERVICE,
    "New-VHD": net("Microsoft.Vhd.PowerShell.VirtualHardDisk", Path=DISK, ParentPath="C:\\golden.vhdx"),
    "Get-VMHost": net("VMHost", "VirtualizationObject", Name="HV01"),
    "Get-VMSwitch": net("VMSwitch", "VirtualizationObject", Name="lab", Id=OTHER),
    "New-VMSwitch": net("VMSwitch", "VirtualizationObject", Name="lab", Id=OTHER),
    "Get-VMHostPartitionableGpu": net("VMHostPartitionableGpu", Name="\\\\?\\PCI"),
    "New-Item": net("System.IO.DirectoryInfo", "System.IO.FileSystemInfo", FullName=FOLDER),
    "Get-Date": SINCE,
    "Get-WinEvent": net("System.Diagnostics.Eventing.Reader.EventLogRecord", Id=18590),
    "Get-CimInstance": net("Microsoft.Management.Infrastructure.CimInstance", Caption="Windows"),
    "Get-Module": net("System.Management.Automation.PSModuleInfo", Name="Hyper-V"),
    "Select-Object": net("System.Management.Automation.PSCustomObject"),
}
"""What a command hands on in a pipeline; Where-Object hands on what it got."""


def bound_stages(what: Runnable, version: ServerVersion) -> Iterator[tuple[Bound, object]]:
    """Each command of a call as it binds, with the object piped into it. Raises BindingError, LookupError."""
    contract = Contract.load(version)
    for statement in Call(what).statements:
        piped: object = NOTHING
        for stage in statement.stages:
            assert isinstance(stage, Command), "the vocabulary holds no scripts"
            command = contract.command(stage.name)
            if command is None:
                raise LookupError(f"Windows Server {version} has no {stage.name}")
            yield bind(command, stage.parameters, piped=piped), piped
            if command.name != "Where-Object":
                piped = GIVES.get(command.name, NOTHING)


def check(what: Runnable, version: ServerVersion) -> list[Bound]:
    """Bind every stage; what is piped must arrive as the object it is, and not as a name made of it."""
    found = []
    for bound, piped in bound_stages(what, version):
        if piped is not NOTHING:
            assert any(
                value is piped or (isinstance(value, list | tuple) and any(part is piped for part in value))
                for value in bound.values.values()
            ), f"{bound.command.name} takes {piped} for {bound.described()}"
        found.append(bound)
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("make", CALLS.values(), ids=CALLS)
def test_every_call_of_the_vocabulary_binds(make: Callable[[], Runnable], version: ServerVersion) -> None:
    assert check(make(), version)


def test_no_function_of_the_vocabulary_is_left_out() -> None:
    functions = {
        name
        for name, value in vars(cmdlets).items()
        if inspect.isfunction(value) and value.__module__ == cmdlets.__name__ and not name.startswith("_")
    }
    tried = {name.partition(":")[0].split()[0] for name in CALLS}
    assert tried == functions


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_host_is_asked_about_itself_binds(version: ServerVersion) -> None:
    asked = [bound.command.name for bound in check(probe.system_call(), version)]
    assert asked.count("Get-CimInstance") == 4
    asked = [bound.command.name for bound in check(probe.hyperv_call(BUILDS[version]), version)]
    assert ("Get-VMHostPartitionableGpu" in asked) is (version != "2019")


def test_a_host_of_2019_is_not_asked_what_only_later_ones_know() -> None:
    with pytest.raises(LookupError, match="Get-VMHostPartitionableGpu"):
        check(probe.hyperv_call(BUILDS["2022"]), "2019")


def test_connecting_to_a_host_binds() -> None:
    for version in VERSIONS:
        check(Command("Import-Module", Name="Hyper-V", ErrorAction="Stop"), version)
        check(hyperv("Get-VMHost") | Select("VirtualHardDiskPath"), version)


@pytest.mark.parametrize(
    ("make", "command", "expected"),
    [
        (lambda: cmdlets.child_disk(DISK, "C:\\g.vhdx"), "New-VHD", {"Differencing": True, "ParentPath": "C:\\g.vhdx"}),
        (lambda: created(MachineSpec(memory=64 * GIB)), "New-VM", {"MemoryStartupBytes": 64 * GIB, "Generation": 2}),
        (lambda: cmdlets.point_applied(OTHER), "Restore-VMSnapshot", {"Confirm": False}),
        (lambda: cmdlets.point_removed(OTHER, with_children=True), "Remove-VMSnapshot", {"Confirm": False}),
        (lambda: cmdlets.turned_off(IDENT), "Stop-VM", {"TurnOff": True, "Force": True}),
        (lambda: cmdlets.machine_removed(IDENT), "Remove-VM", {"Force": True}),
        (lambda: cmdlets.machine(IDENT), "Get-VM", {"Id": IDENT}),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_values_arrive_under_their_own_names(
    make: Callable[[], Runnable], command: str, expected: dict[str, object], version: ServerVersion
) -> None:
    (bound,) = [one for one in check(make(), version) if one.command.name == command]
    assert {name: bound.values.get(name) for name in expected} == expected


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("what", "error"),
    [
        (
            hyperv("New-VHD", Path=DISK, ParentPath="C:\\g.vhdx", Differencing=True, Dynamic=True),
            "AmbiguousParameterSet",
        ),
        (machine(IDENT) | hyperv("Checkpoint-VM", CheckpointType="Standard"), "NamedParameterNotFound"),
        (machine(IDENT) | hyperv("Set-VM", CheckpointType="Warm"), "CannotConvertArgumentNoMessage"),
        (hyperv("Get-VM", Id="no GUID"), "CannotConvertArgumentNoMessage"),
        (hyperv("Get-VM", Id=IDENT, Name=NAME), "AmbiguousParameterSet"),
        (hyperv("New-VHD", Path=DISK), "MissingMandatoryParameter"),
        (machine(IDENT) | hyperv("Set-VMMemory", StartupBytes="much"), "CannotConvertArgumentNoMessage"),
        (machine(IDENT) | hyperv("Start-VM", Id=IDENT), "NamedParameterNotFound"),
        (Command("Get-Date") | hyperv("New-VHD", Path=DISK, SizeBytes=GIB), "InputObjectNotBound"),
        (Command("Test-Path", LiteralPath=None), "ParameterArgumentValidationErrorNullNotAllowed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_call_of_each_kind_is_refused(what: Runnable, error: str, version: ServerVersion) -> None:
    with pytest.raises(BindingError) as refused:
        check(what, version)
    assert refused.value.error_id == error


def test_a_command_of_another_module_and_one_that_does_not_exist_are_not_found() -> None:
    for what in (Command("VMware\\Get-VM"), hyperv("Get-Item", Path="x"), hyperv("Start-Machine")):
        with pytest.raises(LookupError, match=r"has no"):
            check(what, "2025")


def test_an_object_taken_for_a_name_is_noticed() -> None:
    """A switch piped to Suspend-VM binds as text: the machine that is called like its class."""
    what = hyperv("Get-VMSwitch") | hyperv("Suspend-VM")
    with pytest.raises(AssertionError, match="Suspend-VM takes"):
        check(what, "2025")


def fits(spec: MachineSpec, command: str) -> list[dict[str, Any]]:
    """What the calls that configure such a machine bind for one command, without the machine itself."""
    return [
        {name: value for name, value in bound.values.items() if value is not VM and value != [VM]}
        for bound in check(configured(spec), "2025")
        if bound.command.name == command
    ]


def test_every_part_of_a_spec_has_its_command() -> None:
    plain = {bound.command.name for bound in check(configured(MachineSpec()), "2025")}
    everything = {bound.command.name for bound in check(configured(SPECS["everything"]), "2025")}
    assert "Remove-VMNetworkAdapter" in plain
    assert {"Set-VMKeyProtector", "Enable-VMTPM", "Set-VMProcessor", "Connect-VMNetworkAdapter"} & plain == set()
    assert {"Set-VMKeyProtector", "Enable-VMTPM", "Set-VMProcessor", "Connect-VMNetworkAdapter"} <= everything
    assert "Remove-VMNetworkAdapter" not in everything


def test_a_key_protector_comes_before_the_tpm_and_processors_before_what_else_is_said_of_them() -> None:
    order = [bound.command.name for bound in check(configured(SPECS["everything"]), "2025")]
    assert order.index("Set-VMKeyProtector") < order.index("Enable-VMTPM")
    assert order.index("Set-VM") < order.index("Set-VMProcessor")


def test_memory_is_static_unless_the_spec_says_between_what() -> None:
    (static,) = fits(MachineSpec(memory=GIB), "Set-VMMemory")
    assert (static["DynamicMemoryEnabled"], static["StartupBytes"]) == (False, GIB)
    assert not {"MinimumBytes", "MaximumBytes"} & set(static)
    (dynamic,) = fits(SPECS["dynamic memory"], "Set-VMMemory")
    assert (dynamic["DynamicMemoryEnabled"], dynamic["StartupBytes"]) == (True, 2 * GIB)
    assert (dynamic["MinimumBytes"], dynamic["MaximumBytes"]) == (512 * MIB, 8 * GIB)


@pytest.mark.parametrize(
    ("secure_boot", "on", "template"),
    [
        ("off", "Off", None),
        ("windows", "On", "MicrosoftWindows"),
        ("uefi-ca", "On", "MicrosoftUEFICertificateAuthority"),
    ],
)
def test_secure_boot_is_said_with_its_template(secure_boot: Any, on: str, template: str | None) -> None:
    (firmware,) = fits(MachineSpec(secure_boot=secure_boot), "Set-VMFirmware")
    assert str(firmware["EnableSecureBoot"]) == on
    assert firmware.get("SecureBootTemplate") == template


def test_every_command_of_a_call_ends_it_when_it_fails() -> None:
    for statement in Call(configured(SPECS["everything"])).statements:
        for stage in statement.stages:
            assert ("ErrorAction", "Stop") in stage.parameters
