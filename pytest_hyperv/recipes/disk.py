"""Lay out a golden disk: GPT, an EFI system partition with signed boot programs, and an ext4 root. Nothing is mounted.

The partition types are those of the UEFI specification 2.10 (table 5.7) and the Discoverable Partitions Specification.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pytest_hyperv.programs import run_program
from pytest_hyperv.spec import MIB

ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
ROOT_X86_64_TYPE = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
ESP_START = 1 * MIB
ESP_SIZE = 16 * MIB
ROOT_START = ESP_START + ESP_SIZE
GPT_TAIL = 1 * MIB
"""Room at the end of the disk for the second partition table."""

STEP_TIMEOUT = 300.0
"""Seconds one program of the layout may take."""


@dataclass(frozen=True)
class DiskPlan:
    """What the disk is to hold. ``size`` is in bytes and a whole MiB, as Hyper-V wants it."""

    size: int
    root_uuid: str
    boot_files: dict[str, bytes]
    """Paths on the EFI system partition, separated by slashes, and what they hold."""

    @property
    def root_size(self) -> int:
        """Bytes of the root partition."""
        return self.size - ROOT_START - GPT_TAIL


def make_disk(disk: Path, plan: DiskPlan, tree: Path, *, in_namespace: list[str], scratch: Path, image: str) -> None:
    """Make the raw, sparse ``disk`` from the root file system in the tar file ``tree``.

    ``in_namespace`` is the command prefix under which files may have any owner ([] for root), ``scratch`` a folder in
    which that user may write. Raises ImageError.
    """
    with disk.open("xb") as made:
        made.truncate(plan.size)
    _write_partition_table(disk, plan, image)
    _fill_esp(disk, plan, image)
    _fill_root(disk, plan, tree, in_namespace, scratch, image)


def _write_partition_table(disk: Path, plan: DiskPlan, image: str) -> None:
    table = "\n".join(
        [
            "label: gpt",
            "unit: sectors",
            "sector-size: 512",
            f"start={ESP_START // 512}, size={ESP_SIZE // 512}, type={ESP_TYPE}, name=esp",
            f"start={ROOT_START // 512}, size={plan.root_size // 512}, type={ROOT_X86_64_TYPE}, name=root",
        ]
    )
    run_program(["sfdisk", "--quiet", str(disk)], input=table + "\n", timeout=STEP_TIMEOUT, image=image)


def _fill_esp(disk: Path, plan: DiskPlan, image: str) -> None:
    """Format the first partition in place (FAT16: small, and every UEFI reads it) and copy the boot files."""
    partition = f"{disk}@@{ESP_START}"
    no_settings = {"MTOOLSRC": os.devnull, "MTOOLS_SKIP_CHECK": "1"}
    sectors = str(ESP_SIZE // 512)
    run_program(
        ["mformat", "-i", partition, "-v", "ESP", "-T", sectors, "-h", "64", "-s", "32", "::"],
        env=no_settings,
        timeout=STEP_TIMEOUT,
        image=image,
    )
    folders: set[str] = set()
    for path in plan.boot_files:
        parts = path.split("/")[:-1]
        folders.update("/".join(parts[: depth + 1]) for depth in range(len(parts)))
    run_program(
        ["mmd", "-i", partition, *(f"::{folder}" for folder in sorted(folders))],
        env=no_settings,
        timeout=STEP_TIMEOUT,
        image=image,
    )
    for path, content in plan.boot_files.items():
        source = disk.with_name("boot-file")
        source.write_bytes(content)
        run_program(
            ["mcopy", "-i", partition, str(source), f"::{path}"], env=no_settings, timeout=STEP_TIMEOUT, image=image
        )
        source.unlink()


FILL_ROOT = """
set -eu
tree=$(mktemp -d -p "$1")
trap 'rm -rf "$tree"' EXIT
tar -x --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*' -C "$tree" -f "$2"
mke2fs -q -F -t ext4 -d "$tree" -L root -U "$4" -b 4096 -J size=16 -m 1 \\
    -E "offset=$5,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" "$3" "$6"
"""
"""Arguments: scratch folder, tar file, disk, UUID, offset in bytes, size for mke2fs. The files come as /proc/self/fd
paths: the user of the namespace may not search the folders that lead to them. Device files are left to the guest's
kernel, which makes them itself (devtmpfs)."""


def _fill_root(disk: Path, plan: DiskPlan, tree: Path, in_namespace: list[str], scratch: Path, image: str) -> None:
    if in_namespace:
        disk.chmod(0o666)  # for the namespace's users; the private folder above keeps everybody else out
        tree.chmod(0o644)
    with disk.open("r+b") as to, tree.open("rb") as source:
        run_program(
            [
                *in_namespace,
                *("sh", "-c", FILL_ROOT, "fill-root", str(scratch)),
                f"/proc/self/fd/{source.fileno()}",
                f"/proc/self/fd/{to.fileno()}",
                plan.root_uuid,
                str(ROOT_START),
                f"{plan.root_size // 1024}k",
            ],
            pass_fds=[source.fileno(), to.fileno()],
            timeout=STEP_TIMEOUT,
            image=image,
        )
    disk.chmod(0o600)
