"""Disk files of images: what they are, whether they are whole, and their conversion by qemu-img.

A disk that comes from elsewhere is not trusted. It is read with an explicit driver on a plain file, never by guessing,
and one that names another file (backing file, data file, parent) is refused: the name may be any file of the host.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from pytest_hyperv import vhdx
from pytest_hyperv.errors import ImageError
from pytest_hyperv.programs import run_program
from pytest_hyperv.spec import MIB, DiskFormat

CONVERT_TIMEOUT = 7200.0
"""Seconds one conversion may take; a Windows disk of 60 GB takes minutes."""

QCOW2_MAGIC = b"QFI\xfb"
OTHER_MAGICS = {
    b"KDMV": "VMDK",
    b"conectix": "VHD",
    b"<<< ": "VDI",
    b"QED\0": "QED",
    b"PK\3\4": "ZIP",
    b"\x1f\x8b": "gzip",
}
LARGEST = 64 * 1024**4
"""Bytes: the largest disk of Hyper-V's VHDX format."""

EXTERNAL_DATA_FILE = 1 << 2
"""Bit of qcow2's incompatible features (docs/interop/qcow2.rst of QEMU)."""


@dataclass(frozen=True)
class DiskFile:
    """A disk file of a known format. ``virtual_size`` is in bytes."""

    path: Path
    format: DiskFormat
    virtual_size: int


def examine(path: Path, *, image: str) -> DiskFile:
    """What the file holds, by its own first bytes. Raises ImageError when it is no disk that can be taken as it is."""
    if not path.is_file():
        raise ImageError(f"There is no disk file {path}.", hint="Give a qcow2, VHDX or raw disk.", image=image)
    with path.open("rb") as disk:
        head = disk.read(4096)
    if head.startswith(QCOW2_MAGIC):
        _refuse_names_of_other_files(path, head, image)
        format: DiskFormat = "qcow2"
    elif head.startswith(vhdx.MAGIC):
        format = "vhdx"
    else:
        _require_raw_disk(path, head, image)
        format = "raw"
    size = _vhdx_size(path, image) if format == "vhdx" else _size(path, format, image)
    if not 0 < size <= LARGEST:
        raise ImageError(f"{path} claims a size of {size} bytes.", hint="Give a disk of up to 64 TiB.", image=image)
    return DiskFile(path, format, size)


def _size(path: Path, format: DiskFormat, image: str) -> int:
    try:
        command = ["qemu-img", "info", "--output=json", "--image-opts", _opened(path, format)]
        return int(json.loads(run_program(command, timeout=60, image=image))["virtual-size"])
    except ImageError as error:
        raise ImageError(
            f"{path} cannot be read as {format}: {error.message}",
            hint="A damaged disk must be copied again.",
            image=image,
        ) from error


def _vhdx_size(path: Path, image: str) -> int:
    try:
        facts = vhdx.examine_vhdx(path)
    except ValueError as error:
        raise ImageError(f"{path} cannot be read as vhdx: {error}", hint="Copy it again.", image=image) from error
    if facts.has_parent:
        raise ImageError(
            f"{path} is a differencing disk; an image must be one file that stands alone.",
            hint="Merge it first: Convert-VHD -Path DISK -DestinationPath WHOLE.vhdx",
            image=image,
        )
    return facts.virtual_size


def _refuse_names_of_other_files(path: Path, head: bytes, image: str) -> None:
    """Read qcow2's header ourselves: opening the file would already open what it names."""
    if len(head) < 104:
        raise ImageError(f"{path} is a truncated qcow2 file.", hint="Copy it again.", image=image)
    version, backing, encryption = struct.unpack_from(">4xIQ16xI", head)
    features = struct.unpack_from(">Q", head, 72)[0] if version >= 3 else 0
    if backing:
        reason, fix = "depends on a backing file", "qemu-img convert -O qcow2 OVERLAY WHOLE.qcow2"
    elif features & EXTERNAL_DATA_FILE:
        reason, fix = "keeps its data in another file", "qemu-img convert -O qcow2 DISK WHOLE.qcow2"
    elif encryption:
        reason, fix = "is encrypted", "qemu-img convert with its key"
    else:
        return
    raise ImageError(
        f"{path} {reason}; an image must be one file that stands alone.",
        hint=f"If you trust it, make it whole first: {fix}",
        image=image,
    )


def _require_raw_disk(path: Path, head: bytes, image: str) -> None:
    for magic, name in OTHER_MAGICS.items():
        if head.startswith(magic):
            raise ImageError(
                f"{path} is a {name} file.", hint="Convert it to qcow2 first, as with qemu-img.", image=image
            )
    if len(head) < 512 or head[510:512] != b"\x55\xaa":
        raise ImageError(
            f"{path} is no disk: neither qcow2 nor VHDX, and without a partition table.",
            hint="Give a qcow2, VHDX or raw disk that boots.",
            image=image,
        )


def _opened(path: Path, format: DiskFormat) -> str:
    """A qemu-img image option string for a plain file (a comma in a value is written twice)."""
    return f"driver={format},file.driver=file,file.filename={str(path.absolute()).replace(',', ',,')}"


def convert(source: DiskFile, target: Path, format: DiskFormat, *, image: str) -> None:
    """Write ``source`` as a new file that stands alone, its size rounded up to whole MiB. Raises ImageError.

    A VHDX that stays one is copied as it is.
    """
    if source.format == format == "vhdx":
        shutil.copyfile(source.path, target)
        return
    options = {"vhdx": ["-o", "subformat=dynamic"], "qcow2": ["-o", "compat=1.1,lazy_refcounts=off"], "raw": []}[format]
    reading = _opened(source.path, source.format)
    command = ["qemu-img", "convert", "--image-opts", reading, "-O", format, *options, str(target.absolute())]
    run_program(command, timeout=CONVERT_TIMEOUT, image=image)
    rounded = round_up(source.virtual_size)
    if rounded != source.virtual_size:
        run_program(["qemu-img", "resize", "-q", "-f", format, str(target), str(rounded)], timeout=600, image=image)


def round_up(size: int) -> int:
    """The bytes of the next whole MiB, as Hyper-V's disks have."""
    return -(-size // MIB) * MIB


def check(disk: Path, *, image: str) -> None:
    """Have qemu-img look at every table of a qcow2 file. Raises ImageError when one is damaged; leaks are no damage."""
    run_program(
        ["qemu-img", "check", "-q", "-f", "qcow2", str(disk)], timeout=CONVERT_TIMEOUT, image=image, accepted=(0, 3)
    )


def digest_of(path: Path) -> str:
    """ "sha256:" and the hexadecimal digest of a file's bytes."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
