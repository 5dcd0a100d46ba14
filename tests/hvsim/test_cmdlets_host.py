"""The host itself, exports and imports, files into a guest, and interrupts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hvsim.binder import NetObject
from tests.hvsim.console import Console, open_console
from tests.hvsim.host.disks import GuestDisk
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.options import GIB, HostOptions

EXPORTS = "C:\\exports"


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return open_console(tmp_path, HostOptions(speed=1.0))


def guest_file(console: Console, vm: NetObject, path: str) -> bytes | None:
    with console.host.transaction() as world:
        disk = GuestDisk(world, world.machine(str(vm.property("Id"))).top_disk)
        entry = disk.read(path)
        return disk.content(entry) if entry else None


def configuration(console: Console, name: str = "vm-1") -> str:
    (found,) = [one for one in console.host.drives.files_below(f"{EXPORTS}\\{name}") if one.suffix == ".vmcx"]
    return console.host.drives.windows(found)


def import_copy(console: Console, path: str) -> NetObject:
    return console.one(
        "Import-VM",
        Path=configuration(console),
        Copy=True,
        GenerateNewId=True,
        VirtualMachinePath=path,
        VhdDestinationPath=path,
        SnapshotFilePath=path,
        SmartPagingFilePath=path,
    )


def test_the_host_tells_what_it_has(tmp_path: Path) -> None:
    console = open_console(tmp_path, HostOptions(memory=32 * GIB, processors=8, sriov=True))
    host = console.one("Get-VMHost")
    assert (host.property("MemoryCapacity"), host.property("LogicalProcessorCount")) == (32 * GIB, 8)
    assert (host.property("IovSupport"), host.property("IovSupportReasons")) == (True, [])


def test_a_host_without_sriov_gives_reasons(console: Console) -> None:
    reasons = console.one("Get-VMHost").property("IovSupportReasons")
    assert isinstance(reasons, list)
    assert reasons


def test_default_paths_are_used_and_can_be_set(console: Console) -> None:
    console("Set-VMHost", VirtualMachinePath="C:\\machines")
    vm = console.one("New-VM", Name="x", Generation=2, NoVHD=True)
    assert vm.property("Path") == "C:\\machines\\x"


@pytest.mark.parametrize(("version", "newest"), [("2019", "9.0"), ("2022", "10.0"), ("2025", "12.0")])
def test_each_version_of_windows_has_its_own_configuration_version(tmp_path: Path, version: str, newest: str) -> None:
    console = open_console(tmp_path, HostOptions(version=version))  # type: ignore[arg-type]
    default = console.one("Get-VMHostSupportedVersion", Default=True)
    assert (str(default.property("Version")), default.property("IsDefault")) == (newest, True)
    assert console.one("New-VM", Name="x", Generation=2, NoVHD=True).property("Version") == newest
    with pytest.raises(HostFailure, match="not supported"):
        console("New-VM", Name="y", Generation=2, NoVHD=True, Version="99.0")


@pytest.mark.parametrize("present", [True, False])
def test_partitionable_gpus_are_listed(tmp_path: Path, present: bool) -> None:
    console = open_console(tmp_path, HostOptions(partitionable_gpu=present))
    assert len(console("Get-VMHostPartitionableGpu")) == int(present)


def test_an_export_comes_back_as_a_machine_of_its_own(console: Console) -> None:
    vm = console.machine(Notes="exported")
    console("Checkpoint-VM", vm, SnapshotName="one")
    console("Export-VM", vm, Path=EXPORTS)
    copy = import_copy(console, "C:\\imported")
    assert copy.property("Id") != vm.property("Id")
    assert (copy.property("Name"), copy.property("Notes"), copy.property("Path")) == (
        "vm-1",
        "exported",
        "C:\\imported",
    )
    point = console.one("Get-VMSnapshot", copy)
    console("Restore-VMSnapshot", point)
    assert str(console.ready(copy).property("Heartbeat")) == "OkApplicationsUnknown"
    assert str(console.one("Get-VMHardDiskDrive", copy).property("Path")).startswith("C:\\imported\\")


def test_an_imported_copy_uses_copies_of_all_parents(console: Console) -> None:
    vm = console.machine()
    console("Export-VM", vm, Path=EXPORTS)
    copy = import_copy(console, "C:\\imported")
    top = str(console.one("Get-VMHardDiskDrive", copy).property("Path"))
    assert console.one("Get-VHD", Path=top).property("ParentPath") == "C:\\imported\\golden.vhdx"


def test_a_second_export_of_a_name_is_refused(console: Console) -> None:
    vm = console.machine()
    console("Export-VM", vm, Path=EXPORTS)
    with pytest.raises(HostFailure) as refused:
        console("Export-VM", vm, Path=EXPORTS)
    assert refused.value.hresult == 0x80070050


def test_a_child_named_like_its_parent_breaks_the_export(console: Console) -> None:
    console.golden()
    console("New-VHD", Path="C:\\store\\golden.vhdx", ParentPath="C:\\images\\golden.vhdx", Differencing=True)
    vm = console.one("New-VM", Name="vm-1", Generation=2, VHDPath="C:\\store\\golden.vhdx")
    with pytest.raises(HostFailure, match="same file name") as refused:
        console("Export-VM", vm, Path=EXPORTS)
    assert refused.value.hresult == 0x80070050


def test_a_machine_is_registered_in_place_once(console: Console) -> None:
    vm = console.machine()
    console("Export-VM", vm, Path=EXPORTS)
    with pytest.raises(HostFailure, match="same identifier"):
        console("Import-VM", Path=configuration(console))
    console("Remove-VM", vm, Force=True)
    assert console.one("Import-VM", Path=configuration(console)).property("Id") == vm.property("Id")


def test_a_tpm_of_an_imported_machine_does_not_start_on_another_host(console: Console, tmp_path: Path) -> None:
    vm = console.machine()
    console("Set-VMKeyProtector", vm, NewLocalKeyProtector=True)
    console("Enable-VMTPM", vm)
    console("Export-VM", vm, Path=EXPORTS)
    folder = tmp_path / "other"
    (folder / "drives" / "C").mkdir(parents=True)
    console.host.drives.resolve(EXPORTS).rename(folder / "drives" / "C" / "exports")
    other = open_console(folder)
    moved = import_copy(other, "C:\\imported")
    with pytest.raises(HostFailure, match="could not be unwrapped"):
        other("Start-VM", moved)


def test_a_checkpoint_is_exported_as_a_machine(console: Console) -> None:
    vm = console.ready(console.machine())
    console("Checkpoint-VM", vm, SnapshotName="point")
    console("Export-VMSnapshot", console.one("Get-VMSnapshot", vm), Path=EXPORTS)
    copy = console.one(
        "Import-VM",
        Path=configuration(console, "point"),
        Copy=True,
        GenerateNewId=True,
        VhdDestinationPath="C:\\imported",
        VirtualMachinePath="C:\\imported",
    )
    assert (copy.property("Name"), str(copy.property("State"))) == ("point", "Saved")
    assert console("Get-VMSnapshot", copy) == []


def copy_file(console: Console, vm: NetObject, target: str, **more: object) -> None:
    console.host.drives.resolve("C:\\source.bin").write_bytes(b"payload")
    console("Copy-VMFile", VM=vm, SourcePath="C:\\source.bin", DestinationPath=target, FileSource="Host", **more)


def test_files_are_copied_with_the_guest_service_interface_only(console: Console) -> None:
    vm = console.ready(console.machine())
    with pytest.raises(HostFailure, match="Guest Service Interface"):
        copy_file(console, vm, "C:\\deep\\a.bin", CreateFullPath=True)
    console("Enable-VMIntegrationService", vm, Name="Guest Service Interface")
    copy_file(console, vm, "C:\\deep\\a.bin", CreateFullPath=True)
    assert guest_file(console, vm, "C:\\deep\\a.bin") == b"payload"


def test_a_copy_wants_a_folder_and_does_not_overwrite_unasked(console: Console) -> None:
    vm = console.ready(console.machine())
    console("Enable-VMIntegrationService", vm, Name="Guest Service Interface")
    with pytest.raises(HostFailure) as missing:
        copy_file(console, vm, "C:\\nowhere\\a.bin")
    assert missing.value.hresult == 0x80070003
    copy_file(console, vm, "C:\\a.bin")
    with pytest.raises(HostFailure) as taken:
        copy_file(console, vm, "C:\\a.bin")
    assert taken.value.hresult == 0x80070050
    copy_file(console, vm, "C:\\a.bin", Force=True)


def test_a_copy_wants_a_guest_that_answers(console: Console) -> None:
    vm = console.machine()
    console("Enable-VMIntegrationService", vm, Name="Guest Service Interface")
    with pytest.raises(HostFailure, match="not running"):
        copy_file(console, vm, "C:\\a.bin")
    console("Start-VM", vm)
    with pytest.raises(HostFailure, match="not available"):
        copy_file(console, vm, "C:\\a.bin")


def test_an_interrupt_makes_the_guest_crash_and_boot_again(console: Console) -> None:
    vm = console.ready(console.machine())
    console("Debug-VM", vm, InjectNonMaskableInterrupt=True, Force=True)
    with console.host.transaction() as world:
        (crash,) = [event for event in world.events if event.id == 18590]
    assert "0x00000080" in crash.message
    assert str(vm.property("Id")).upper() in crash.message
    assert str(console.fresh(vm).property("Heartbeat")) == "NoContact"
