"""VHDX files read by ourselves: real ones, damaged ones, and ones that say what cannot be."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from pytest_hyperv.errors import ImageError
from pytest_hyperv.images import DiskFacts, ImageStore
from pytest_hyperv.progress import Silent
from pytest_hyperv.spec import GIB, MIB, GuestRoad
from pytest_hyperv.vhdx import VhdxFacts, examine_vhdx

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")

WINDOWS = DiskFacts("windows", "psdirect", credentials="env:GUEST", secure_boot="windows", powershell=True)
TABLES = (192 * 1024, 256 * 1024)
"""Where [MS-VHDX] 2.2 has the two region tables."""
ENTRY = struct.Struct("<16sQI4x")
"""GUID, offset and length of a region (2.2.3.2)."""
KNOWN = {
    "metadata": UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e"),
    "parameters": UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b"),
    "size": UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8"),
}

Damage = Callable[[bytearray], None]


def made(path: Path, size: int, *options: str) -> Path:
    """A disk made by qemu-img."""
    command = ["qemu-img", "create", "-q", "-f", "vhdx", *options, str(path), str(size)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return made(tmp_path / "disk.vhdx", 64 * MIB)


def metadata(file: bytearray) -> int:
    """Where the metadata table begins."""
    at = file.index(KNOWN["metadata"].bytes_le, TABLES[0])
    return int(ENTRY.unpack_from(file, at)[1])


def item(file: bytearray, name: str) -> int:
    """Where a metadata item's value lies."""
    table = metadata(file)
    at = file.index(KNOWN[name].bytes_le, table)
    return table + int(struct.unpack_from("<I", file, at + 16)[0])


def changed(disk: Path, change: Damage) -> Path:
    file = bytearray(disk.read_bytes())
    change(file)
    disk.write_bytes(file)
    return disk


def with_parent(file: bytearray) -> None:
    """Set the bit HasParent of the file parameters (2.6.2.1); qemu-img makes no differencing disks."""
    at = item(file, "parameters") + 4
    struct.pack_into("<I", file, at, struct.unpack_from("<I", file, at)[0] | 2)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (MIB, ()),
        (64 * MIB, ("-o", "block_size=1M")),
        (127 * GIB, ("-o", "log_size=2M")),
        (64 * 1024 * GIB, ()),
    ],
)
def test_the_size_that_a_guest_sees_is_read(tmp_path: Path, size: int, options: tuple[str, ...]) -> None:
    disk = made(tmp_path / "disk.vhdx", size, *options)
    assert examine_vhdx(disk) == VhdxFacts(size, has_parent=False)


def test_a_disk_with_data_says_the_same_as_an_empty_one(tmp_path: Path) -> None:
    source, disk = tmp_path / "raw", tmp_path / "disk.vhdx"
    source.write_bytes(os.urandom(5 * MIB))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vhdx", str(source), str(disk)], check=True, timeout=60)
    assert examine_vhdx(disk) == VhdxFacts(5 * MIB, has_parent=False)


def test_a_fixed_disk_is_read(tmp_path: Path) -> None:
    disk = made(tmp_path / "disk.vhdx", 8 * MIB, "-o", "subformat=fixed")
    assert examine_vhdx(disk) == VhdxFacts(8 * MIB, has_parent=False)


def test_a_differencing_disk_has_a_parent(disk: Path) -> None:
    assert examine_vhdx(changed(disk, with_parent)) == VhdxFacts(64 * MIB, has_parent=True)


def test_a_disk_that_keeps_its_blocks_allocated_has_no_parent(disk: Path) -> None:
    """Bit 0 of the flags is LeaveBlocksAllocated, of fixed disks."""

    def fixed(file: bytearray) -> None:
        struct.pack_into("<I", file, item(file, "parameters") + 4, 1)

    assert not examine_vhdx(changed(disk, fixed)).has_parent


def test_the_second_region_table_stands_in_for_the_first(disk: Path) -> None:
    def first_lost(file: bytearray) -> None:
        file[TABLES[0] : TABLES[0] + 65536] = bytes(65536)

    assert examine_vhdx(changed(disk, first_lost)) == VhdxFacts(64 * MIB, has_parent=False)


def region(**fields: int) -> Damage:
    """Says something else of the metadata region, in both tables."""

    def change(file: bytearray) -> None:
        for table in TABLES:
            where = file.index(KNOWN["metadata"].bytes_le, table)
            ident, offset, length = ENTRY.unpack_from(file, where)
            ENTRY.pack_into(file, where, ident, fields.get("offset", offset), fields.get("length", length))

    return change


def overwrite(where: Callable[[bytearray], list[int]], data: bytes) -> Damage:
    def change(file: bytearray) -> None:
        for at in where(file):
            file[at : at + len(data)] = data

    return change


IMPOSSIBLE: dict[str, Damage] = {
    "both tables lost": overwrite(lambda _: list(TABLES), bytes(65536)),
    "no region at all": overwrite(lambda _: [at + 8 for at in TABLES], bytes(4)),
    "more regions than a table holds": overwrite(lambda _: [at + 8 for at in TABLES], b"\xff" * 4),
    "no metadata region": overwrite(lambda f: [f.index(KNOWN["metadata"].bytes_le, at) for at in TABLES], bytes(16)),
    "metadata beyond the end": region(offset=2**40),
    "metadata beyond all files": region(offset=2**63 - 1),
    "metadata beyond all numbers": region(offset=2**64 - 1),
    "metadata of no length": region(length=0),
    "metadata shorter than its table": region(length=40),
    "metadata without its signature": overwrite(lambda file: [metadata(file)], b"METADATA"),
    "more items than a table holds": overwrite(lambda file: [metadata(file) + 10], b"\xff\xff"),
    "no items": overwrite(lambda file: [metadata(file) + 10], bytes(2)),
    "no size": overwrite(lambda file: [file.index(KNOWN["size"].bytes_le, metadata(file))], bytes(16)),
    "size beyond the end": overwrite(
        lambda file: [file.index(KNOWN["size"].bytes_le, metadata(file)) + 16], b"\xff" * 4
    ),
    "not a VHDX": overwrite(lambda _: [0], b"vhdxfilm"),
}


@pytest.mark.parametrize("damage", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_damaged_file_is_refused_in_words(disk: Path, damage: Damage) -> None:
    changed(disk, damage)
    with pytest.raises(ValueError, match=r"damaged|cut short|no VHDX"):
        examine_vhdx(disk)
    with pytest.raises(ImageError, match=str(disk)):
        ImageStore(disk.parent / "images").import_disk("cut", disk, WINDOWS, Silent())


@pytest.mark.parametrize("kept", [0, 4, 8, 65536, 192 * 1024 + 100, 300 * 1024])
def test_a_file_that_is_cut_short_is_refused(disk: Path, kept: int) -> None:
    with disk.open("r+b") as file:
        file.truncate(kept)
    with pytest.raises(ValueError, match="cut short"):
        examine_vhdx(disk)


def test_every_cut_before_the_end_of_the_metadata_is_refused(disk: Path) -> None:
    whole = disk.read_bytes()
    end = item(bytearray(whole), "size") + 8
    for kept in range(0, end, 50_021):
        disk.write_bytes(whole[:kept])
        with pytest.raises(ValueError, match=r"cut short|damaged"):
            examine_vhdx(disk)


def test_random_damage_gives_facts_or_a_refusal_and_nothing_else(disk: Path) -> None:
    whole = disk.read_bytes()
    table = metadata(bytearray(whole))
    chance = random.Random(20)
    for number in range(400):
        file = bytearray(whole)
        start = (*TABLES, table)[number % 3]
        for at in chance.randbytes(6):
            file[start + at] = chance.randrange(256)
        disk.write_bytes(file)
        try:
            examine_vhdx(disk)
        except ValueError:
            continue


@pytest.mark.parametrize("road", ["psdirect", "winrm"])
def test_a_disk_for_hyper_v_is_taken_in_byte_for_byte_without_any_program(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, road: GuestRoad
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    store = ImageStore(tmp_path / "images")
    facts = DiskFacts("windows", road, credentials="env:GUEST", secure_boot="windows", powershell=True)
    image = store.import_disk("win", disk, facts, Silent())
    assert image.format == "vhdx"
    assert image.disk.name == "disk.vhdx"
    assert image.disk.read_bytes() == disk.read_bytes()
    assert image.disk.stat().st_ino != disk.stat().st_ino
    assert image.disk.stat().st_mode & 0o777 == 0o400
    assert image.virtual_size == 64 * MIB
    assert store.get("win") == store.verify("win") == image
    assert json.loads((image.folder / "image.json").read_text())["format"] == "vhdx"


def test_a_differencing_disk_is_not_taken_in(disk: Path, tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    with pytest.raises(ImageError, match="differencing disk") as refused:
        store.import_disk("win", changed(disk, with_parent), WINDOWS, Silent())
    assert "Convert-VHD" in refused.value.hint
    assert store.names() == []


def test_a_disk_that_was_altered_in_the_store_is_refused(disk: Path, tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    image = store.import_disk("win", disk, WINDOWS, Silent())
    image.disk.chmod(0o600)
    changed(image.disk, with_parent)
    with pytest.raises(ImageError, match="altered"):
        store.get("win")


def test_a_disk_larger_than_the_format_allows_is_refused(disk: Path, tmp_path: Path) -> None:
    def huge(file: bytearray) -> None:
        struct.pack_into("<Q", file, item(file, "size"), 2**63)

    with pytest.raises(ImageError, match="claims a size"):
        ImageStore(tmp_path / "images").import_disk("win", changed(disk, huge), WINDOWS, Silent())
