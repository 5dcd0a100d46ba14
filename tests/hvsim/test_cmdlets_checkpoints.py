"""Checkpoints: trees, chains of disks, kinds, restores, and merges that take their time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hvsim.binder import NetObject
from tests.hvsim.console import Console, open_console
from tests.hvsim.host import checkpoints
from tests.hvsim.host.capacity import free_disk
from tests.hvsim.host.disks import GuestDisk
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.inventory import left_over
from tests.hvsim.host.locks import refuse_if_held
from tests.hvsim.host.options import HostOptions

BASE = "C:\\store\\vm-1\\vm-1-disk.vhdx"


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return open_console(tmp_path, HostOptions(speed=1.0))


def take(console: Console, vm: NetObject, name: str) -> NetObject:
    return console.one("Checkpoint-VM", vm, SnapshotName=name, Passthru=True)


def top(console: Console, vm: NetObject) -> str:
    return str(console.one("Get-VMHardDiskDrive", vm).property("Path"))


def write(console: Console, vm: NetObject, text: str) -> None:
    with console.host.transaction() as world:
        assert GuestDisk(world, world.machine(str(vm.property("Id"))).top_disk).write("C:\\t.txt", text.encode()).blob


def read(console: Console, vm: NetObject) -> str | None:
    with console.host.transaction() as world:
        disk = GuestDisk(world, world.machine(str(vm.property("Id"))).top_disk)
        entry = disk.read("C:\\t.txt")
        return disk.content(entry).decode() if entry else None


def remember(console: Console, vm: NetObject, value: str) -> None:
    with console.host.transaction() as world:
        world.machine(str(vm.property("Id"))).memory["value"] = value


def remembered(console: Console, vm: NetObject) -> object:
    with console.host.transaction() as world:
        return world.machine(str(vm.property("Id"))).memory.get("value")


def disks(console: Console) -> list[str]:
    files = console.host.drives.files_below("C:\\store")
    return sorted(file.name for file in files if file.suffix in (".vhdx", ".avhdx"))


def state(console: Console, vm: NetObject) -> str:
    return str(console.fresh(vm).property("State"))


def test_a_checkpoint_freezes_the_disk_and_puts_a_new_one_on_top(console: Console) -> None:
    vm = console.machine()
    point = take(console, vm, "one")
    frozen = point.property("HardDrives")
    assert isinstance(frozen, list)
    assert frozen[0].property("Path") == BASE
    name = top(console, vm).rpartition("\\")[2]
    assert name.startswith("vm-1-disk_")
    assert name.endswith(".avhdx")
    assert console.one("Get-VHD", Path=top(console, vm)).property("ParentPath") == BASE


def test_the_second_avhdx_is_named_after_the_base_too(console: Console) -> None:
    vm = console.machine()
    take(console, vm, "one")
    take(console, vm, "two")
    assert top(console, vm).count("_") == 1


def test_checkpoints_of_a_machine_form_a_tree(console: Console) -> None:
    vm = console.machine()
    root = take(console, vm, "root")
    left = take(console, vm, "left")
    console("Restore-VMSnapshot", root)
    right = take(console, vm, "right")
    parents = {str(one.property("Name")): one.property("ParentSnapshotName") for one in console("Get-VMSnapshot", vm)}
    assert parents == {"root": None, "left": "root", "right": "root"}
    assert console.fresh(vm).property("ParentCheckpointId") == right.property("Id")
    assert {str(one.property("Name")) for one in console("Get-VMSnapshot", ChildOf=root)} == {"left", "right"}
    assert console.one("Get-VMSnapshot", ParentOf=left).property("Name") == "root"
    assert console.one("Get-VMSnapshot", Id=left.property("Id")).property("Name") == "left"


def test_a_standard_checkpoint_of_a_running_machine_holds_memory_and_lands_saved(console: Console) -> None:
    vm = console.ready(console.machine())
    write(console, vm, "before")
    remember(console, vm, "before")
    point = take(console, vm, "live")
    write(console, vm, "after")
    remember(console, vm, "after")
    console("Stop-VM", vm, TurnOff=True)
    console("Restore-VMSnapshot", point)
    assert state(console, vm) == "Saved"
    console("Start-VM", vm)
    assert (state(console, vm), read(console, vm), remembered(console, vm)) == ("Running", "before", "before")
    assert str(console.fresh(vm).property("Heartbeat")) == "OkApplicationsUnknown"


def test_a_checkpoint_of_a_machine_that_is_off_lands_off(console: Console) -> None:
    vm = console.machine()
    point = take(console, vm, "off")
    console.ready(vm)
    console("Stop-VM", vm, TurnOff=True)
    console("Restore-VMSnapshot", point)
    assert state(console, vm) == "Off"


@pytest.mark.parametrize("kind", ["Production", "ProductionOnly"])
def test_a_production_checkpoint_holds_no_memory_and_lands_off(console: Console, kind: str) -> None:
    vm = console.ready(console.machine(CheckpointType=kind))
    remember(console, vm, "before")
    point = take(console, vm, "production")
    assert str(point.property("State")) == "Off"
    console("Stop-VM", vm, TurnOff=True)
    console("Restore-VMSnapshot", point)
    assert (state(console, vm), remembered(console, vm)) == ("Off", None)


def test_production_falls_back_to_memory_where_the_guest_cannot_prepare_and_production_only_does_not(
    console: Console,
) -> None:
    vm = console.machine(CheckpointType="Production")
    console("Start-VM", vm)
    assert str(take(console, vm, "booting").property("State")) == "Saved"
    console("Set-VM", vm, CheckpointType="ProductionOnly")
    with pytest.raises(HostFailure, match="Production checkpoints cannot be created"):
        take(console, vm, "refused")


def test_disabled_checkpoints_are_refused(console: Console) -> None:
    vm = console.machine(CheckpointType="Disabled")
    with pytest.raises(HostFailure, match="Checkpoints have been disabled"):
        take(console, vm, "no")


def test_there_are_at_most_fifty(console: Console) -> None:
    vm = console.machine()
    with console.host.transaction() as world:
        for number in range(50):
            checkpoints.take(world, world.machine(str(vm.property("Id"))), f"{number}")
    console.host.advance(2)
    with pytest.raises(HostFailure, match="maximum number of checkpoints"):
        take(console, vm, "one too many")


def test_a_running_machine_cannot_be_restored(console: Console) -> None:
    vm = console.ready(console.machine())
    point = take(console, vm, "one")
    with pytest.raises(HostFailure) as refused:
        console("Restore-VMSnapshot", point)
    assert refused.value.error_id == "InvalidState"


def test_a_restore_brings_notes_and_settings_back_but_not_the_name(console: Console) -> None:
    vm = console.machine(Notes="tagged", ProcessorCount=2)
    point = take(console, vm, "one")
    console("Set-VM", vm, Notes="changed", ProcessorCount=4, NewVMName="renamed")
    console("Restore-VMSnapshot", point)
    fresh = console.fresh(vm)
    assert (fresh.property("Notes"), fresh.property("ProcessorCount"), fresh.property("Name")) == (
        "tagged",
        2,
        "renamed",
    )


def test_a_restore_drops_the_disk_it_leaves_and_makes_a_new_one(console: Console) -> None:
    vm = console.machine()
    point = take(console, vm, "one")
    left = top(console, vm)
    write(console, vm, "lost")
    console("Restore-VMSnapshot", point)
    assert top(console, vm) != left
    assert not console.host.drives.exists(left)
    assert read(console, vm) is None
    assert console.one("Get-VHD", Path=top(console, vm)).property("ParentPath") == BASE


def test_restoring_again_and_again_leaves_one_disk_each_time(console: Console) -> None:
    vm = console.ready(console.machine())
    point = take(console, vm, "one")
    for _ in range(3):
        console("Stop-VM", vm, TurnOff=True)
        console("Restore-VMSnapshot", point)
        console("Start-VM", vm)
    assert len(disks(console)) == 2


def test_removing_a_checkpoint_merges_after_the_call_has_returned(console: Console) -> None:
    vm = console.ready(console.machine())
    point = take(console, vm, "one")
    write(console, vm, "kept")
    console("Remove-VMSnapshot", point)
    fresh = console.fresh(vm)
    assert console("Get-VMSnapshot", vm) == []
    assert str(fresh.property("SecondaryOperationalStatus")) == "MergingDisks"
    assert int(str(fresh.property("SecondaryOperationalStatus").number)) == 32772  # type: ignore[attr-defined]
    assert "Merging disks" in str(fresh.property("Status"))
    assert len(disks(console)) == 2
    console.host.advance(console.host.options.merge + 1)
    assert (disks(console), read(console, vm), top(console, vm)) == (["vm-1-disk.vhdx"], "kept", BASE)
    assert str(console.fresh(vm).property("PrimaryOperationalStatus")) == "Ok"
    console("Stop-VM", vm, TurnOff=True)
    console("Start-VM", vm)


def test_while_disks_merge_checkpoints_are_refused_for_the_moment(console: Console) -> None:
    vm = console.machine()
    kept = take(console, vm, "kept")
    console("Remove-VMSnapshot", take(console, vm, "gone"))
    for call in (lambda: take(console, vm, "new"), lambda: console("Restore-VMSnapshot", kept)):
        with pytest.raises(HostFailure, match=r"\(32775\)"):
            call()
    console.host.advance(console.host.options.merge + 1)
    console("Restore-VMSnapshot", kept)


def test_a_checkpoint_in_the_middle_is_merged_and_its_child_goes_on(console: Console) -> None:
    vm = console.machine()
    write(console, vm, "one")
    first = take(console, vm, "one")
    write(console, vm, "two")
    second = take(console, vm, "two")
    write(console, vm, "three")
    third = take(console, vm, "three")
    console("Remove-VMSnapshot", second)
    console.host.advance(10)
    assert len(disks(console)) == 3
    for point, text in ((first, "one"), (third, "three")):
        console("Restore-VMSnapshot", console.one("Get-VMSnapshot", Id=point.property("Id")))
        assert read(console, vm) == text


def test_a_frozen_disk_with_several_children_stays(console: Console) -> None:
    vm = console.machine()
    write(console, vm, "root")
    root = take(console, vm, "root")
    write(console, vm, "left")
    left = take(console, vm, "left")
    console("Restore-VMSnapshot", root)
    console("Remove-VMSnapshot", root)
    console.host.advance(10)
    assert read(console, vm) == "root"
    console("Restore-VMSnapshot", left)
    assert read(console, vm) == "left"


def test_removing_with_all_children_leaves_what_the_machine_is_on(console: Console) -> None:
    vm = console.machine()
    write(console, vm, "root")
    root = take(console, vm, "root")
    write(console, vm, "deep")
    take(console, vm, "child")
    console("Remove-VMSnapshot", root, IncludeAllChildSnapshots=True)
    console.host.advance(10)
    assert (console("Get-VMSnapshot", vm), disks(console), read(console, vm)) == ([], ["vm-1-disk.vhdx"], "deep")


def test_children_of_a_removed_checkpoint_move_up(console: Console) -> None:
    vm = console.machine()
    take(console, vm, "one")
    second = take(console, vm, "two")
    take(console, vm, "three")
    console("Remove-VMSnapshot", second)
    parents = {one.property("Name"): one.property("ParentSnapshotName") for one in console("Get-VMSnapshot", vm)}
    assert parents == {"one": None, "three": "one"}


def test_removing_a_machine_merges_afterwards_and_holds_its_files_meanwhile(console: Console) -> None:
    vm = console.ready(console.machine())
    take(console, vm, "one")
    console("Stop-VM", vm, TurnOff=True)
    running_on = top(console, vm)
    console("Remove-VM", vm, Force=True)
    assert console("Get-VM") == []
    with console.host.transaction() as world, pytest.raises(HostFailure) as held:
        refuse_if_held(world, "C:\\store\\vm-1")
    assert held.value.hresult == 0x80070020
    assert console.host.drives.exists(running_on)
    console.host.advance(10)
    with console.host.transaction() as world:
        refuse_if_held(world, "C:\\store\\vm-1")
    assert left_over(console.host.folder, "C:\\store") == [f"file {BASE}"]


def test_a_broken_chain_ends_a_merge_with_an_event_and_harms_nothing_else(console: Console) -> None:
    vm = console.machine()
    take(console, vm, "one")
    point = take(console, vm, "two")
    console.host.drives.resolve(top(console, vm)).write_bytes(b"garbage")
    console("Remove-VMSnapshot", point)
    console.host.advance(10)
    assert console.fresh(vm).property("Status") == "Operating normally"
    with console.host.transaction() as world:
        assert [event.id for event in world.events if event.id == 19100] == [19100]


def test_a_client_takes_an_automatic_checkpoint_at_each_start(tmp_path: Path) -> None:
    console = open_console(tmp_path, HostOptions(edition="client", speed=1.0))
    vm = console.machine(AutomaticCheckpointsEnabled=True)
    console("Start-VM", vm)
    first = console.one("Get-VMSnapshot", vm)
    assert first.property("IsAutomaticCheckpoint") is True
    console("Stop-VM", vm, TurnOff=True)
    console.host.advance(10)
    console("Start-VM", vm)
    assert console.one("Get-VMSnapshot", vm).property("Id") != first.property("Id")


def test_names_need_not_be_unique_but_then_a_name_restores_nothing(console: Console) -> None:
    vm = console.machine()
    take(console, vm, "same")
    take(console, vm, "same")
    with pytest.raises(HostFailure, match="Several checkpoints"):
        console("Restore-VMSnapshot", Name="same", VMName="vm-1")


def test_a_checkpoint_can_be_renamed_and_a_gone_one_is_an_error(console: Console) -> None:
    vm = console.machine()
    point = take(console, vm, "old")
    console("Rename-VMSnapshot", point, NewName="new")
    assert console.one("Get-VMSnapshot", vm, Name="n*").property("Name") == "new"
    console("Remove-VMSnapshot", point)
    with pytest.raises(HostFailure, match="unable to find a checkpoint") as gone:
        console("Restore-VMSnapshot", point)
    assert gone.value.category == "ObjectNotFound"


def test_memory_of_checkpoints_takes_disk_space(console: Console) -> None:
    vm = console.ready(console.machine())
    with console.host.transaction() as world:
        before = free_disk(world)
    take(console, vm, "live")
    with console.host.transaction() as world:
        assert before - free_disk(world) >= 2 * 1024**3
