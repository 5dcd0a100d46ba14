"""New-VHD, Get-VHD and their kin, and disks attached to machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hvsim.binder import NetObject
from tests.hvsim.console import GOLDEN, Console, open_console
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.options import GIB, HostOptions

DISK = "C:\\d\\one.vhdx"


@pytest.fixture
def console(tmp_path: Path) -> Console:
    console = open_console(tmp_path)
    console.golden()
    return console


def child(console: Console, path: str = DISK, parent: str = GOLDEN) -> NetObject:
    return console.one("New-VHD", Path=path, ParentPath=parent, Differencing=True)


def refused(console: Console, number: int, name: str, **parameters: object) -> None:
    with pytest.raises(HostFailure) as failure:
        console(name, **parameters)
    assert failure.value.hresult == number
    assert failure.value.message.endswith(f"(0x{number:08X}).")


def test_a_differencing_disk_knows_its_parent_and_takes_its_size(console: Console) -> None:
    disk = child(console)
    parent = console.one("Get-VHD", Path=GOLDEN)
    assert (disk.property("ParentPath"), str(disk.property("VhdType"))) == (GOLDEN, "Differencing")
    assert disk.property("Size") == parent.property("Size")
    assert disk.property("DiskIdentifier") != parent.property("DiskIdentifier")


def test_a_path_that_is_taken_is_refused(console: Console) -> None:
    child(console)
    refused(console, 0x80070050, "New-VHD", Path=DISK, ParentPath=GOLDEN, Differencing=True)
    refused(console, 0x80070050, "New-VHD", Path=DISK.upper(), SizeBytes=GIB, Dynamic=True)


def test_a_disk_of_a_checkpoint_is_refused_as_a_parent(console: Console) -> None:
    vm = console.machine()
    console("Checkpoint-VM", vm, SnapshotName="one")
    avhdx = str(console.one("Get-VMHardDiskDrive", vm).property("Path"))
    with pytest.raises(HostFailure, match="cannot be a parent") as failure:
        child(console, parent=avhdx)
    assert failure.value.category == "InvalidArgument"


def test_a_missing_parent_is_refused(console: Console) -> None:
    refused(console, 0x80070002, "New-VHD", Path=DISK, ParentPath="C:\\no.vhdx", Differencing=True)


def test_a_parent_that_somebody_writes_is_refused(console: Console) -> None:
    vm = console.machine()
    console("Start-VM", vm)
    with pytest.raises(HostFailure) as failure:
        child(console, parent="C:\\store\\vm-1\\vm-1-disk.vhdx")
    assert failure.value.hresult == 0x80070020


@pytest.mark.parametrize("name", ["disk", "disk.img", "disk.avhdx"])
def test_only_vhd_and_vhdx_are_names_for_new_disks(console: Console, name: str) -> None:
    with pytest.raises(HostFailure, match="file name extension"):
        console("New-VHD", Path=f"C:\\d\\{name}", SizeBytes=GIB, Dynamic=True)


def test_a_fixed_disk_takes_its_size_of_the_drive_and_a_dynamic_one_does_not(tmp_path: Path) -> None:
    console = open_console(tmp_path, HostOptions(disk=10 * GIB))
    console("New-VHD", Path="C:\\d\\dynamic.vhdx", SizeBytes=100 * GIB, Dynamic=True)
    refused(console, 0x80070070, "New-VHD", Path="C:\\d\\big.vhdx", SizeBytes=20 * GIB, Fixed=True)
    console("New-VHD", Path="C:\\d\\fits.vhdx", SizeBytes=9 * GIB, Fixed=True)
    refused(console, 0x80070070, "New-VHD", Path="C:\\d\\second.vhdx", SizeBytes=9 * GIB, Fixed=True)


def test_a_disk_of_no_size_is_refused(console: Console) -> None:
    with pytest.raises(HostFailure, match="not a valid size"):
        console("New-VHD", Path=DISK, SizeBytes=1, Dynamic=True)


def test_test_vhd_judges_the_whole_chain(console: Console) -> None:
    child(console)
    child(console, "C:\\d\\two.vhdx", DISK)
    console("Test-VHD", Path="C:\\d\\two.vhdx")
    console.host.drives.resolve(DISK).unlink()
    with pytest.raises(HostFailure) as failure:
        console("Test-VHD", Path="C:\\d\\two.vhdx")
    assert failure.value.hresult == 0xC03A0014


def test_merge_vhd_is_for_disks_that_nobody_uses(console: Console) -> None:
    vm = console.machine()
    console("Start-VM", vm)
    console("New-VHD", Path="C:\\d\\base.vhdx", SizeBytes=GIB, Dynamic=True)
    child(console, DISK, "C:\\d\\base.vhdx")
    with pytest.raises(HostFailure) as failure:
        console("Merge-VHD", Path="C:\\store\\vm-1\\vm-1-disk.vhdx", DestinationPath=GOLDEN)
    assert failure.value.hresult == 0x80070020
    console("Merge-VHD", Path=DISK, DestinationPath="C:\\d\\base.vhdx")
    assert not console.host.drives.exists(DISK)


def test_another_parent_has_to_be_meant(console: Console) -> None:
    child(console)
    console.golden("C:\\images\\other.vhdx", b"another")
    refused(console, 0xC03A000E, "Set-VHD", Path=DISK, ParentPath="C:\\images\\other.vhdx")
    console("Set-VHD", Path=DISK, ParentPath="C:\\images\\other.vhdx", IgnoreIdMismatch=True)
    assert console.one("Get-VHD", Path=DISK).property("ParentPath") == "C:\\images\\other.vhdx"


def test_resizing_and_mounting_want_a_full_administrator(tmp_path: Path) -> None:
    console = open_console(tmp_path, HostOptions(rights="hyperv-administrator"))
    console("New-VHD", Path=DISK, SizeBytes=GIB, Dynamic=True)
    for call in ({"name": "Resize-VHD", "SizeBytes": 2 * GIB}, {"name": "Mount-VHD"}):
        with pytest.raises(HostFailure) as failure:
            console(str(call.pop("name")), Path=DISK, **call)
        assert failure.value.error_id == "AccessDenied"


def test_a_mounted_disk_is_held_until_it_is_dismounted(console: Console) -> None:
    vm = console.machine()
    console("New-VHD", Path=DISK, SizeBytes=GIB, Dynamic=True)
    assert console.one("Mount-VHD", Path=DISK, Passthru=True).property("DiskNumber") == 1
    with pytest.raises(HostFailure) as failure:
        console("Add-VMHardDiskDrive", vm, Path=DISK)
    assert failure.value.hresult == 0x80070020
    console("Dismount-VHD", Path=DISK)
    console("Add-VMHardDiskDrive", vm, Path=DISK)
    with pytest.raises(HostFailure, match="not attached"):
        console("Dismount-VHD", Path=DISK)


def test_a_failed_attach_leaves_an_empty_drive(console: Console) -> None:
    vm = console.machine()
    refused_with = pytest.raises(HostFailure, match="not found")
    with refused_with:
        console("Add-VMHardDiskDrive", vm, Path="C:\\no.vhdx")
    empty = [drive for drive in console("Get-VMHardDiskDrive", vm) if drive.property("Path") is None]
    assert len(empty) == 1
    console("Remove-VMHardDiskDrive", empty)
    assert len(console("Get-VMHardDiskDrive", vm)) == 1


def test_disks_are_hot_plugged_and_taken_away_again(console: Console) -> None:
    vm = console.ready(console.machine())
    child(console)
    added = console.one("Add-VMHardDiskDrive", vm, Path=DISK, Passthru=True)
    assert (added.property("ControllerNumber"), added.property("ControllerLocation")) == (0, 1)
    with pytest.raises(HostFailure) as failure:
        console("Add-VMHardDiskDrive", vm, Path=DISK)
    assert failure.value.hresult == 0x80070050
    console("Remove-VMHardDiskDrive", added)
    assert console.host.drives.exists(DISK)


def test_a_controller_has_64_places_and_a_machine_4_controllers(console: Console) -> None:
    vm = console.machine()
    child(console)
    with pytest.raises(HostFailure, match="no controller 0 with a location 64"):
        console("Add-VMHardDiskDrive", vm, Path=DISK, ControllerNumber=0, ControllerLocation=64)
    with pytest.raises(HostFailure, match="location is already in use"):
        console("Add-VMHardDiskDrive", vm, Path=DISK, ControllerNumber=0, ControllerLocation=0)
    with pytest.raises(HostFailure, match="no controller 1"):
        console("Add-VMHardDiskDrive", vm, Path=DISK, ControllerNumber=1)
    for _ in range(3):
        console("Add-VMScsiController", vm)
    console("Add-VMHardDiskDrive", vm, Path=DISK, ControllerNumber=3, ControllerLocation=63)
    assert len(console("Get-VMScsiController", vm)) == 4
    with pytest.raises(HostFailure, match="4 SCSI controllers"):
        console("Add-VMScsiController", vm)


def test_convert_vhd_folds_the_chain_into_one_disk(console: Console) -> None:
    child(console)
    console("Convert-VHD", Path=DISK, DestinationPath="C:\\d\\flat.vhdx", VHDType="Dynamic")
    flat = console.one("Get-VHD", Path="C:\\d\\flat.vhdx")
    assert (flat.property("ParentPath"), str(flat.property("VhdType"))) == ("", "Dynamic")
    vm = console.one("New-VM", Name="flat", Generation=2, VHDPath="C:\\d\\flat.vhdx")
    assert str(console.ready(vm).property("Heartbeat")) == "OkApplicationsUnknown"
