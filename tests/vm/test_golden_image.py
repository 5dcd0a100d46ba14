"""The golden image as it was really built: its partitions, its signed boot chain, its guest, and how damage is told.

Nothing is booted here; every machine of the other tests boots this disk.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from pytest_hyperv.cache import default_cache, prepare_cache
from pytest_hyperv.errors import ImageError
from pytest_hyperv.images import ImageStore
from pytest_hyperv.progress import Lines, Silent
from pytest_hyperv.recipes.disk import ESP_START, ESP_TYPE, ROOT_START
from pytest_hyperv.recipes.guest_files import BOOT_MODULES
from pytest_hyperv.spec import Image

NAME = "debian-12"


def run(*command: object) -> bytes:
    """What the program wrote to its standard output."""
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    argv = [str(word) for word in command]
    return subprocess.run(argv, check=True, capture_output=True, timeout=120, env=environment).stdout


@pytest.fixture(scope="module")
def store() -> ImageStore:
    return ImageStore(prepare_cache(default_cache()) / "images")


@pytest.fixture(scope="module")
def image(store: ImageStore) -> Image:
    return store.build(NAME, Lines(print))


@pytest.fixture(scope="module")
def raw(image: Image, store: ImageStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store.export(image.name, tmp_path_factory.mktemp("golden") / "disk.raw", "raw", Silent())


def on_esp(raw: Path, path: str) -> bytes:
    return run("mtype", "-i", f"{raw}@@{ESP_START}", f"::{path}")


def in_guest(raw: Path, path: str) -> bytes:
    return run("debugfs", "-R", f"cat {path}", f"{raw}?offset={ROOT_START}")


def signers(program: bytes) -> bytes:
    """The certificate table of a PE file (Microsoft's PE format, data directory 4); b"" when it is not signed."""
    header = struct.unpack_from("<I", program, 0x3C)[0]
    assert program[header : header + 4] == b"PE\0\0"
    assert struct.unpack_from("<H", program, header + 24)[0] == 0x20B
    offset, size = struct.unpack_from("<II", program, header + 24 + 112 + 4 * 8)
    return program[offset : offset + size]


def test_the_partition_table_is_what_uefi_and_hyper_v_expect(raw: Path) -> None:
    table = json.loads(run("sfdisk", "--json", raw))["partitiontable"]
    esp, root = table["partitions"]
    assert table["label"] == "gpt"
    assert esp["type"].upper() == ESP_TYPE
    assert esp["start"] * 512 == ESP_START
    assert root["start"] * 512 == ROOT_START
    assert raw.stat().st_size % 2**20 == 0


def test_the_boot_chain_is_signed_for_microsofts_keys(image: Image, raw: Path) -> None:
    assert b"Microsoft Corporation UEFI CA 2011" in signers(on_esp(raw, "EFI/BOOT/BOOTX64.EFI"))
    assert b"Debian Secure Boot" in signers(on_esp(raw, "EFI/BOOT/grubx64.efi"))
    assert b"Debian Secure Boot" in signers(in_guest(raw, f"/boot/vmlinuz-{image.kernel}"))


def test_grub_boots_the_root_file_system_by_its_own_id_and_talks_to_the_serial_console(raw: Path) -> None:
    configuration = on_esp(raw, "EFI/debian/grub.cfg").decode()
    told = run("debugfs", "-R", "show_super_stats -h", f"{raw}?offset={ROOT_START}").decode()
    uuid = next(line.split()[-1] for line in told.splitlines() if line.startswith("Filesystem UUID"))
    assert f"root=UUID={uuid} " in configuration
    assert "console=ttyS0" in configuration


def test_the_initial_ram_disk_reaches_a_disk_on_qemu_and_on_hyper_v(image: Image, raw: Path) -> None:
    unpacked = gzip.decompress(in_guest(raw, f"/boot/initrd.img-{image.kernel}"))
    for module in BOOT_MODULES:
        assert f"{module}.ko".encode() in unpacked or f"{module.replace('_', '-')}.ko".encode() in unpacked


def test_the_guest_holds_nothing_of_the_machine_that_built_it(raw: Path) -> None:
    assert in_guest(raw, "/etc/machine-id") == b""
    assert in_guest(raw, "/etc/hostname") == b"debian\n"
    assert b"deb.debian.org" in in_guest(raw, "/etc/apt/sources.list")
    settings = run("debugfs", "-R", "ls -p /etc/apt/apt.conf.d", f"{raw}?offset={ROOT_START}")
    assert b"host" not in settings
    assert b"mmdebstrap" not in settings
    assert b"ssh_host" not in run("debugfs", "-R", "ls -p /etc/ssh", f"{raw}?offset={ROOT_START}")


def test_files_of_the_guest_belong_to_root_whoever_built_it(raw: Path) -> None:
    for path in ("/etc/shadow", "/usr/bin/su", "/etc/udev/rules.d/70-golden.rules"):
        told = run("debugfs", "-R", f"stat {path}", f"{raw}?offset={ROOT_START}").decode()
        assert "User:     0 " in told
    assert "Mode:  04755" in run("debugfs", "-R", "stat /usr/bin/su", f"{raw}?offset={ROOT_START}").decode()


def test_the_file_system_is_clean(raw: Path) -> None:
    assert b"clean" in run("e2fsck", "-n", f"{raw}?offset={ROOT_START}")


def test_the_kernels_build_tree_lies_beside_the_disk(image: Image) -> None:
    with tarfile.open(image.folder / "kbuild.tar") as packed:
        tree = packed.getmember("build").linkname
        assert tree == f"usr/src/linux-headers-{image.kernel}"
        assert packed.getmember(f"{tree}/Module.symvers").size > 0
        makefile = packed.extractfile(f"{tree}/Makefile")
        assert makefile is not None
        assert b"/usr/src" not in makefile.read()
        assert not [name for name in packed.getnames() if name.startswith(("/", "../"))]


def test_the_vhdx_is_dynamic_and_as_large_as_the_disk(image: Image, store: ImageStore, tmp_path: Path) -> None:
    vhdx = store.export(NAME, tmp_path / "debian-12.vhdx", "vhdx", Silent())
    told = json.loads(run("qemu-img", "info", "-f", "vhdx", "--output=json", vhdx))
    assert told["virtual-size"] == image.virtual_size
    assert vhdx.stat().st_size < image.virtual_size / 4
    assert b"identical" in run("qemu-img", "compare", "-f", "qcow2", "-F", "vhdx", image.disk, vhdx)


def test_verify_tells_a_flipped_byte_and_a_cut_end_of_a_copy(image: Image, store: ImageStore, tmp_path: Path) -> None:
    assert store.verify(NAME) == image
    shutil.copytree(image.folder.parent, tmp_path / "images" / NAME, ignore=shutil.ignore_patterns(".building-*"))
    copied = ImageStore(tmp_path / "images")
    disk = copied.get(NAME).disk
    disk.chmod(0o600)
    with disk.open("r+b") as file:
        file.seek(disk.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x10]))
    with pytest.raises(ImageError, match="altered"):
        copied.verify(NAME)
    os.truncate(disk, disk.stat().st_size - 4096)
    with pytest.raises(ImageError, match="cut short") as damaged:
        copied.get(NAME)
    assert "images build debian-12 --rebuild" in damaged.value.hint
