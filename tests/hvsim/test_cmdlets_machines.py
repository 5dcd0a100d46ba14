"""New-VM, Get-VM, Set-VM, Remove-VM and the settings of a machine."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.hvsim.binder import NetObject
from tests.hvsim.console import Console, open_console
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.inventory import left_over
from tests.hvsim.host.options import GIB, HostOptions


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return open_console(tmp_path)


def shown(value: NetObject, *names: str) -> list[str]:
    return [str(value.property(name)) for name in names]


def test_a_new_machine_of_a_server_is_off_static_and_without_automatic_checkpoints(console: Console) -> None:
    console.golden()
    vm = console.one("New-VM", Name="plain", Generation=2, NoVHD=True)
    assert shown(vm, "State", "DynamicMemoryEnabled", "AutomaticCheckpointsEnabled", "CheckpointType") == [
        "Off",
        "False",
        "False",
        "Production",
    ]
    assert shown(vm, "MemoryStartup", "ProcessorCount", "Version") == [str(GIB), "1", "12.0"]
    assert vm.property("Id") == vm.property("VMId")
    assert vm.type_names[0] == "Microsoft.HyperV.PowerShell.VirtualMachine"


def test_a_client_switches_automatic_checkpoints_and_dynamic_memory_on(tmp_path: Path) -> None:
    console = open_console(tmp_path, HostOptions(edition="client"))
    vm = console.one("New-VM", Name="plain", Generation=2, NoVHD=True)
    assert shown(vm, "AutomaticCheckpointsEnabled", "DynamicMemoryEnabled") == ["True", "True"]


def test_a_machine_lives_in_a_folder_of_its_name_below_the_path(console: Console) -> None:
    vm = console.one("New-VM", Name="homely", Generation=2, NoVHD=True, Path="C:\\store")
    guid = str(vm.property("Id")).upper()
    assert vm.property("Path") == "C:\\store\\homely"
    assert console.host.drives.exists(f"C:\\store\\homely\\Virtual Machines\\{guid}.vmcx")


def test_names_need_not_be_unique_and_the_id_is_the_handle(console: Console) -> None:
    first = console.one("New-VM", Name="twin", Generation=2, NoVHD=True)
    second = console.one("New-VM", Name="twin", Generation=2, NoVHD=True)
    assert len(console("Get-VM", Name="twin")) == 2
    assert console.fresh(first).property("Id") != console.fresh(second).property("Id")


def test_a_disk_that_is_not_there_leaves_no_machine(console: Console) -> None:
    with pytest.raises(HostFailure) as missing:
        console("New-VM", Name="x", Generation=2, VHDPath="C:\\no.vhdx")
    assert missing.value.hresult == 0x80070002
    assert console("Get-VM") == []


def test_get_vm_takes_wildcards_and_a_plain_name_that_fits_none_is_an_error(console: Console) -> None:
    for name in ("ab-1", "ab-2", "cd-1"):
        console("New-VM", Name=name, Generation=2, NoVHD=True)
    assert [vm.property("Name") for vm in console("Get-VM", Name="AB-*")] == ["ab-1", "ab-2"]
    assert [vm.property("Name") for vm in console("Get-VM", Name="?[bd]-1")] == ["ab-1", "cd-1"]
    assert console("Get-VM", Name="zz*") == []
    with pytest.raises(HostFailure, match='unable to find a virtual machine with name "ab"') as unknown:
        console("Get-VM", Name="ab")
    assert (unknown.value.error_id, unknown.value.category) == ("InvalidParameter", "ObjectNotFound")


def test_an_unknown_name_among_known_ones_is_an_error_of_its_own(console: Console) -> None:
    console("New-VM", Name="known", Generation=2, NoVHD=True)
    with pytest.raises(HostFailure, match='"unknown"'):
        console("Set-VM", Name=["unknown", "known"], Notes="seen")
    assert console.one("Get-VM", Name="known").property("Notes") == "seen"


def test_an_unknown_id_is_an_error(console: Console) -> None:
    with pytest.raises(HostFailure, match="unable to find a virtual machine with ID"):
        console("Get-VM", Id=uuid.uuid4())


def test_notes_and_actions_change_in_any_state(console: Console) -> None:
    vm = console.ready(console.machine())
    console("Set-VM", vm, Notes="mine", AutomaticStartAction="Nothing", AutomaticStopAction="TurnOff")
    assert shown(console.fresh(vm), "Notes", "AutomaticStartAction", "AutomaticStopAction") == [
        "mine",
        "Nothing",
        "TurnOff",
    ]


@pytest.mark.parametrize(
    ("cmdlet", "parameters"),
    [
        ("Set-VM", {"ProcessorCount": 4}),
        ("Set-VMProcessor", {"Count": 4}),
        ("Set-VMProcessor", {"ExposeVirtualizationExtensions": True}),
        ("Set-VM", {"DynamicMemory": True}),
        ("Set-VMMemory", {"DynamicMemoryEnabled": True}),
        ("Set-VMFirmware", {"EnableSecureBoot": "Off"}),
        ("Set-VMFirmware", {"SecureBootTemplate": "MicrosoftUEFICertificateAuthority"}),
        ("Set-VMKeyProtector", {"NewLocalKeyProtector": True}),
        ("Enable-VMTPM", {}),
        ("Disable-VMTPM", {}),
    ],
)
def test_what_wants_the_machine_off_is_refused_while_it_runs(
    console: Console, cmdlet: str, parameters: dict[str, object]
) -> None:
    vm = console.machine()
    console("Set-VMKeyProtector", vm, NewLocalKeyProtector=True)
    console("Start-VM", vm)
    with pytest.raises(HostFailure) as refused:
        console(cmdlet, vm, **parameters)
    assert (refused.value.error_id, refused.value.category) == ("InvalidState", "InvalidOperation")
    console("Stop-VM", vm, TurnOff=True)
    console(cmdlet, vm, **parameters)


def test_a_tpm_wants_a_key_protector_first(console: Console) -> None:
    vm = console.machine()
    with pytest.raises(HostFailure, match="key protector has to be set before"):
        console("Enable-VMTPM", vm)
    console("Set-VMKeyProtector", vm, NewLocalKeyProtector=True)
    console("Enable-VMTPM", vm)
    assert console.one("Get-VMSecurity", vm).property("TpmEnabled") is True


def test_a_key_protector_of_another_host_does_not_start_the_machine(console: Console) -> None:
    vm = console.machine()
    console("Set-VMKeyProtector", vm, KeyProtector=b"\x01\x02\x03")
    console("Enable-VMTPM", vm)
    with pytest.raises(HostFailure, match="could not be unwrapped"):
        console("Start-VM", vm)


def test_nested_virtualization_wants_static_memory(console: Console) -> None:
    vm = console.machine()
    console("Set-VMMemory", vm, DynamicMemoryEnabled=True, MinimumBytes=GIB, MaximumBytes=4 * GIB)
    with pytest.raises(HostFailure, match="dynamic memory"):
        console("Set-VMProcessor", vm, ExposeVirtualizationExtensions=True)
    console("Set-VMMemory", vm, DynamicMemoryEnabled=False)
    console("Set-VMProcessor", vm, ExposeVirtualizationExtensions=True)
    with pytest.raises(HostFailure, match="nested"):
        console("Set-VMMemory", vm, DynamicMemoryEnabled=True)


def test_nested_virtualization_wants_no_saved_state(console: Console) -> None:
    vm = console.ready(console.machine())
    console("Checkpoint-VM", vm, SnapshotName="with memory")
    console("Stop-VM", vm, TurnOff=True)
    with pytest.raises(HostFailure, match="has a saved state") as refused:
        console("Set-VMProcessor", vm, ExposeVirtualizationExtensions=True)
    assert refused.value.error_id == "InvalidState"


def test_a_host_without_nesting_fails_at_the_start_not_before(tmp_path: Path) -> None:
    console = open_console(tmp_path, HostOptions(nested=False))
    vm = console.machine()
    console("Set-VMProcessor", vm, ExposeVirtualizationExtensions=True)
    with pytest.raises(HostFailure, match="nested virtualization"):
        console("Start-VM", vm)


def test_memory_has_to_be_in_order_and_a_multiple_of_2_mb(console: Console) -> None:
    vm = console.machine()
    with pytest.raises(HostFailure, match="between the minimum and the maximum"):
        console("Set-VMMemory", vm, DynamicMemoryEnabled=True, MinimumBytes=4 * GIB, StartupBytes=2 * GIB)
    with pytest.raises(HostFailure, match="multiple of 2 MB"):
        console("Set-VMMemory", vm, StartupBytes=GIB + 1)


def test_secure_boot_and_its_template_are_set(console: Console) -> None:
    vm = console.machine()
    assert shown(console.one("Get-VMFirmware", vm), "SecureBoot", "SecureBootTemplate") == ["On", "MicrosoftWindows"]
    console("Set-VMFirmware", vm, SecureBootTemplate="MicrosoftUEFICertificateAuthority")
    assert shown(console.one("Get-VMFirmware", vm), "SecureBootTemplate") == ["MicrosoftUEFICertificateAuthority"]
    with pytest.raises(HostFailure, match="was not found"):
        console("Set-VMFirmware", vm, SecureBootTemplate="NoSuchTemplate")


def test_a_machine_of_generation_1_has_no_firmware(console: Console) -> None:
    vm = console.one("New-VM", Name="old", Generation=1, NoVHD=True)
    with pytest.raises(HostFailure, match="generation 1"):
        console("Get-VMFirmware", vm)


def test_the_first_boot_device_is_a_device_of_the_machine(console: Console) -> None:
    vm, other = console.machine("one"), console.machine("two")
    adapter = console.one("Get-VMNetworkAdapter", vm)
    console("Set-VMFirmware", vm, FirstBootDevice=adapter)
    order = console.one("Get-VMFirmware", vm).property("BootOrder")
    assert isinstance(order, list)
    assert order[0].property("BootType") == "Network"
    with pytest.raises(HostFailure, match="not one of the virtual machine"):
        console("Set-VMFirmware", vm, FirstBootDevice=console.one("Get-VMHardDiskDrive", other))


def test_a_serial_port_takes_a_named_pipe_and_nothing_else(console: Console) -> None:
    vm = console.machine()
    console("Set-VMComPort", vm, Number=1, Path="\\\\.\\pipe\\console")
    assert [port.property("Path") for port in console("Get-VMComPort", vm)] == ["\\\\.\\pipe\\console", ""]
    with pytest.raises(HostFailure, match="named pipe"):
        console("Set-VMComPort", vm, Number=1, Path="C:\\file.txt")
    with pytest.raises(HostFailure, match="no COM port 3"):
        console("Set-VMComPort", vm, Number=3, Path="\\\\.\\pipe\\x")


def test_remove_vm_wants_the_machine_off_and_leaves_the_disk(console: Console) -> None:
    vm = console.ready(console.machine())
    disk = "C:\\store\\vm-1\\vm-1-disk.vhdx"
    with pytest.raises(HostFailure) as refused:
        console("Remove-VM", vm, Force=True)
    assert refused.value.error_id == "InvalidState"
    console("Stop-VM", vm, TurnOff=True)
    console("Remove-VM", vm, Force=True)
    assert console("Get-VM") == []
    assert left_over(console.host.folder, "C:\\store") == [f"file {disk}"]


def test_a_removed_machine_is_an_error_for_whoever_still_has_it(console: Console) -> None:
    vm = console.machine()
    console("Remove-VM", vm, Force=True)
    with pytest.raises(HostFailure, match="unable to find") as gone:
        console("Start-VM", vm)
    assert gone.value.category == "ObjectNotFound"


def test_without_rights_everything_is_denied(tmp_path: Path) -> None:
    console = open_console(tmp_path, HostOptions(rights="none"))
    for cmdlet in ("Get-VM", "Get-VMHost", "Get-VMSwitch"):
        with pytest.raises(HostFailure, match="required permission") as denied:
            console(cmdlet)
        assert (denied.value.error_id, denied.value.category) == ("AccessDenied", "PermissionDenied")


def test_memory_beyond_the_host_fails_at_the_start(tmp_path: Path) -> None:
    console = open_console(tmp_path, HostOptions(memory=5 * GIB))
    first, second = console.machine("one"), console.machine("two")
    console("Start-VM", first)
    with pytest.raises(HostFailure, match="Not enough memory") as refused:
        console("Start-VM", second)
    assert (refused.value.hresult, refused.value.error_id) == (0x8007000E, "OutOfMemory")
    console("Stop-VM", first, TurnOff=True)
    console("Start-VM", second)
