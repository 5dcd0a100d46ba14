"""Simulated virtual hard disks: real files that begin as a .vhdx does and go on with JSON instead of blocks."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.hvsim.host.drives import Drives
from tests.hvsim.host.failures import (
    FILE_CORRUPT,
    NOT_FOUND,
    PARENT_CHANGED,
    PARENT_MISSING,
    HostFailure,
    operation_failed,
)
from tests.hvsim.host.records import decode, written

SIGNATURE = b"vhdxfile"
EMPTY_FILE = 4 * 1024**2
"""What an empty dynamic or differencing disk occupies."""
DEFAULT_SIZE = 127 * 1024**3
FOREIGN_SAMPLE = 1024**2


@dataclass
class FileEntry:
    """A file or folder inside a guest's disk; `blob` is the name of its content, `modified` simulated seconds."""

    path: str
    folder: bool = False
    blob: str = ""
    size: int = 0
    modified: float = 0.0


@dataclass
class DiskFile:
    """What a disk's file says: identity, format and the guest's files of this layer (None: deleted here).

    `id` is the identity of the content, new after every write: a child remembers its parent's. `system` tells whether
    something on the disk can boot. `foreign` is the length of a disk made elsewhere, which holds nothing readable.
    """

    size: int = DEFAULT_SIZE
    kind: Literal["Dynamic", "Fixed", "Differencing"] = "Dynamic"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    disk: str = field(default_factory=lambda: str(uuid.uuid4()))
    parent: str | None = None
    parent_id: str | None = None
    system: bool = False
    foreign: int = 0
    files: dict[str, FileEntry | None] = field(default_factory=dict)

    @property
    def file_size(self) -> int:
        """Bytes that the file would occupy on a real host."""
        if self.kind == "Fixed":
            return self.size
        return max(self.foreign, EMPTY_FILE + sum(entry.size for entry in self.files.values() if entry))


@dataclass(frozen=True)
class Layer:
    """One disk of a chain: its Windows path and its content."""

    path: str
    file: DiskFile


def load(drives: Drives, path: str) -> DiskFile:
    """Read a disk. Raises `HostFailure` when there is no such file, or when it is no virtual hard disk."""
    real = drives.resolve(path)
    if not real.is_file():
        raise operation_failed(
            f"Getting the mounted storage instance for the path '{path}' failed. The system cannot find the file "
            f"specified.",
            NOT_FOUND,
            path,
        )
    return read_disk(real, path)


def read_disk(real: Path, path: str) -> DiskFile:
    """Read a disk by its real path; `path` is its name in errors."""
    with real.open("rb") as stream:
        if stream.read(len(SIGNATURE)) != SIGNATURE:
            raise operation_failed(
                f"Failed to open '{path}'. The file or directory is corrupted and unreadable.", FILE_CORRUPT, path
            )
        beginning = stream.read(1)
        rest = beginning + (stream.read() if beginning == b"{" else stream.read(FOREIGN_SAMPLE))
    if beginning == b"{":
        return decode(DiskFile, json.loads(rest))
    length = real.stat().st_size
    identity = str(uuid.UUID(bytes=hashlib.sha256(rest + str(length).encode()).digest()[:16]))
    return DiskFile(id=identity, disk=identity, system=True, foreign=length)


def store(drives: Drives, path: str, disk: DiskFile) -> None:
    """Write a disk, at once and whole."""
    real = drives.resolve(path)
    part = real.with_name(real.name + ".part")
    part.write_bytes(SIGNATURE + written(disk).encode())
    part.replace(real)


def open_chain(drives: Drives, path: str) -> list[Layer]:
    """The disk and its parents, top first, each checked to be what its child remembers.

    Raises `HostFailure` 0xC03A0014 for a parent that is missing and 0xC03A000E for one that changed.
    """
    layers = [Layer(drives.normal(path), load(drives, path))]
    for child, parent in _links(drives, layers[0]):
        if parent.file.id != child.file.parent_id:
            raise operation_failed(
                f"The chain of virtual hard disks is corrupted. There is a mismatch in the identifiers of the parent "
                f"virtual hard disk '{parent.path}' and differencing disk '{child.path}'.",
                PARENT_CHANGED,
                child.path,
            )
        layers.append(parent)
    return layers


def chain_paths(drives: Drives, path: str) -> list[str]:
    """The paths of a disk and of those parents that exist, top first, without judging them."""
    try:
        paths = [drives.normal(path)]
        paths += [parent.path for _, parent in _links(drives, Layer(paths[0], load(drives, path)))]
    except HostFailure:
        return paths
    return paths


def _links(drives: Drives, layer: Layer) -> Iterator[tuple[Layer, Layer]]:
    while layer.file.parent is not None:
        if not drives.resolve(layer.file.parent).is_file():
            raise operation_failed(
                f"The chain of virtual hard disks is inaccessible. The process has not been granted access rights to "
                f"the parent virtual hard disk '{layer.file.parent}' for the differencing disk '{layer.path}'.",
                PARENT_MISSING,
                layer.path,
            )
        parent = Layer(layer.file.parent, load(drives, layer.file.parent))
        yield layer, parent
        layer = parent


def new_child(drives: Drives, path: str, parent: str, size: int | None = None) -> DiskFile:
    """Make the differencing disk `path` over `parent`. The chain below it must be whole."""
    below = open_chain(drives, parent)
    disk = DiskFile(
        size=size or below[0].file.size,
        kind="Differencing",
        parent=below[0].path,
        parent_id=below[0].file.id,
        system=below[0].file.system,
    )
    store(drives, path, disk)
    return disk


def relink(drives: Drives, child: str, parent: str) -> None:
    """Make `parent` the parent of `child`, whatever it was before."""
    disk = load(drives, child)
    disk.parent, disk.parent_id = drives.normal(parent), load(drives, parent).id
    store(drives, child, disk)


def merge_down(drives: Drives, child: str) -> str:
    """Put the changes of `child` into its parent and remove the child's file; returns the parent's path."""
    upper = load(drives, child)
    if upper.parent is None:
        raise ValueError(f"{child} has no parent to be merged into")
    lower = load(drives, upper.parent)
    lower.files.update(upper.files)
    if lower.parent is None:
        lower.files = {key: entry for key, entry in lower.files.items() if entry is not None}
    lower.id = upper.id
    lower.system = upper.system
    store(drives, upper.parent, lower)
    drives.resolve(child).unlink()
    return upper.parent
