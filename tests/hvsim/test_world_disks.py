"""Disks as files: chains, identities, and the files of a guest in their layers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hvsim.console import Console, open_console
from tests.hvsim.host import disk_files
from tests.hvsim.host.disk_files import DiskFile
from tests.hvsim.host.disks import GuestDisk
from tests.hvsim.host.failures import HostFailure

BASE, CHILD, GRANDCHILD = "C:\\d\\base.vhdx", "C:\\d\\child.vhdx", "C:\\d\\grandchild.vhdx"


@pytest.fixture
def console(tmp_path: Path) -> Console:
    console = open_console(tmp_path)
    console.golden(BASE)
    disk_files.new_child(console.host.drives, CHILD, BASE)
    disk_files.new_child(console.host.drives, GRANDCHILD, CHILD)
    return console


def disk(console: Console, path: str) -> GuestDisk:
    return GuestDisk(console.host, path)


def written(guest: GuestDisk, path: str, data: bytes) -> None:
    assert guest.write(path, data).size == len(data)


def content(guest: GuestDisk, path: str) -> bytes | None:
    entry = guest.read(path)
    return None if entry is None else guest.content(entry)


def test_a_file_made_elsewhere_is_a_base_disk_that_boots(console: Console) -> None:
    base = disk_files.load(console.host.drives, BASE)
    assert (base.system, base.parent, base.files) == (True, None, {})
    assert disk_files.load(console.host.drives, BASE).id == base.id


def test_a_file_without_the_signature_is_no_disk(console: Console) -> None:
    console.host.drives.resolve("C:\\d\\text.vhdx").write_bytes(b"not a disk")
    with pytest.raises(HostFailure, match="corrupted") as refused:
        disk_files.load(console.host.drives, "C:\\d\\text.vhdx")
    assert refused.value.hresult == 0xC03A0005


def test_a_write_stays_in_the_top_disk(console: Console) -> None:
    before = console.host.drives.resolve(CHILD).read_bytes()
    written(disk(console, GRANDCHILD), "C:\\a.txt", b"one")
    assert content(disk(console, GRANDCHILD), "c:/A.TXT") == b"one"
    assert content(disk(console, CHILD), "C:\\a.txt") is None
    assert console.host.drives.resolve(CHILD).read_bytes() == before


def test_a_file_of_a_parent_is_read_through_hidden_and_deleted(console: Console) -> None:
    written(disk(console, CHILD), "C:\\a.txt", b"below")
    disk_files.relink(console.host.drives, GRANDCHILD, CHILD)
    top = disk(console, GRANDCHILD)
    assert content(top, "C:\\a.txt") == b"below"
    written(top, "C:\\a.txt", b"above")
    assert content(top, "C:\\a.txt") == b"above"
    top.remove("C:\\a.txt")
    assert content(top, "C:\\a.txt") is None
    assert content(disk(console, CHILD), "C:\\a.txt") == b"below"


def test_a_folder_lists_what_is_right_in_it(console: Console) -> None:
    top = disk(console, GRANDCHILD)
    top.make_folder("C:\\work")
    written(top, "C:\\work\\b.txt", b"")
    written(top, "C:\\work\\a.txt", b"")
    written(top, "C:\\work\\deep\\c.txt", b"")
    assert [entry.path for entry in top.listdir("c:\\WORK\\")] == ["C:\\work\\a.txt", "C:\\work\\b.txt"]
    top.remove("C:\\work")
    assert top.listdir("C:\\work") == []


def test_a_changed_parent_breaks_its_child(console: Console) -> None:
    written(disk(console, CHILD), "C:\\a.txt", b"changed")
    with pytest.raises(HostFailure, match="mismatch in the identifiers") as broken:
        disk(console, GRANDCHILD).read("C:\\a.txt")
    assert broken.value.hresult == 0xC03A000E
    assert broken.value.message.endswith("(0xC03A000E).")


def test_a_parent_made_anew_breaks_its_child(console: Console) -> None:
    real = console.host.drives.resolve(BASE)
    real.chmod(0o644)
    console.golden(BASE, b"another image")
    with pytest.raises(HostFailure) as broken:
        disk_files.open_chain(console.host.drives, CHILD)
    assert broken.value.hresult == 0xC03A000E


def test_a_missing_parent_breaks_the_chain(console: Console) -> None:
    console.host.drives.resolve(CHILD).unlink()
    with pytest.raises(HostFailure) as broken:
        disk_files.open_chain(console.host.drives, GRANDCHILD)
    assert broken.value.hresult == 0xC03A0014


def test_a_merge_puts_files_and_deletions_into_the_parent(console: Console) -> None:
    drives = console.host.drives
    written(disk(console, CHILD), "C:\\kept.txt", b"kept")
    written(disk(console, CHILD), "C:\\gone.txt", b"gone")
    disk_files.relink(drives, GRANDCHILD, CHILD)
    top = disk(console, GRANDCHILD)
    top.remove("C:\\gone.txt")
    written(top, "C:\\new.txt", b"new")
    assert disk_files.merge_down(drives, GRANDCHILD) == CHILD
    merged = disk(console, CHILD)
    assert (content(merged, "C:\\kept.txt"), content(merged, "C:\\new.txt")) == (b"kept", b"new")
    assert content(merged, "C:\\gone.txt") is None
    assert not drives.exists(GRANDCHILD)


def test_only_a_fixed_disk_occupies_its_whole_size() -> None:
    assert DiskFile(size=10**9, kind="Fixed").file_size == 10**9
    assert DiskFile(size=10**9).file_size == disk_files.EMPTY_FILE
