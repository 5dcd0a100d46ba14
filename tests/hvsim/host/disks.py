"""The files of a guest, on its disk: read through the chain of differencing disks, written to the top one."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Protocol

from tests.hvsim.host.disk_files import DiskFile, FileEntry, Layer, load, open_chain, store
from tests.hvsim.host.drives import Drives

__all__ = ["FileEntry", "GuestDisk", "HasDrives"]


class HasDrives(Protocol):
    """A host or its world: what a disk needs of it."""

    @property
    def drives(self) -> Drives:
        """The drives of the host."""
        ...

    @property
    def folder(self) -> Path:
        """The folder of the host."""
        ...


def guest_key(path: str) -> str:
    """What the spellings of one guest path have in common: either separator, any case, no separator at the end."""
    folded = path.replace("/", "\\").casefold()
    return folded.rstrip("\\") or "\\"


class GuestDisk:
    """The disk at a Windows path of the host, as the guest that runs on it sees it.

    Use it inside a transaction: a merge may change the disk a machine runs on. Every call raises `HostFailure` when the
    chain is broken (0xC03A0014: a parent is missing; 0xC03A000E: a parent was changed below its child).
    """

    def __init__(self, owner: HasDrives, path: str, now: float = 0.0) -> None:
        self._drives = owner.drives
        self._blobs = owner.folder / "blobs"
        self._path = path
        self._now = now

    def read(self, path: str) -> FileEntry | None:
        """The file or folder at a guest path, None when there is none."""
        return self._lookup(guest_key(path), open_chain(self._drives, self._path))

    def content(self, entry: FileEntry) -> bytes:
        """The bytes of a file."""
        return (self._blobs / entry.blob).read_bytes() if entry.blob else b""

    def write(self, path: str, data: bytes) -> FileEntry:
        """Make or replace a file."""
        digest = hashlib.sha256(data).hexdigest()
        self._blobs.mkdir(exist_ok=True)
        blob = self._blobs / digest
        if not blob.exists():
            part = blob.with_name(f"{digest}.{uuid.uuid4().hex}")
            part.write_bytes(data)
            part.replace(blob)
        entry = FileEntry(path=path, blob=digest, size=len(data), modified=self._now)
        self._change({guest_key(path): entry})
        return entry

    def make_folder(self, path: str) -> FileEntry:
        """Make a folder; one that is there already is left as it is."""
        entry = FileEntry(path=path.rstrip("\\/") or path, folder=True, modified=self._now)
        self._change({guest_key(path): entry})
        return entry

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it; what is not there stays so."""
        key = guest_key(path)
        gone: dict[str, FileEntry | None] = {
            known: None for known in self._merged(open_chain(self._drives, self._path)) if _is_within(known, key)
        }
        if gone:
            self._change(gone)

    def listdir(self, path: str) -> list[FileEntry]:
        """The files and folders right in a folder, by name."""
        prefix = guest_key(path).rstrip("\\") + "\\"
        merged = self._merged(open_chain(self._drives, self._path))
        return [merged[key] for key in sorted(merged) if key.startswith(prefix) and "\\" not in key[len(prefix) :]]

    def touch(self) -> None:
        """Change the disk without changing a file, as every booting guest does."""
        self._change({})

    def _change(self, changes: dict[str, FileEntry | None]) -> None:
        open_chain(self._drives, self._path)
        disk = load(self._drives, self._path)
        disk.files.update(changes)
        disk.id = str(uuid.uuid4())
        if disk.parent is None:
            disk.files = {key: entry for key, entry in disk.files.items() if entry is not None}
        store(self._drives, self._path, disk)

    @staticmethod
    def _lookup(key: str, layers: list[Layer]) -> FileEntry | None:
        return next((layer.file.files[key] for layer in layers if key in layer.file.files), None)

    @staticmethod
    def _merged(layers: list[Layer]) -> dict[str, FileEntry]:
        merged: dict[str, FileEntry | None] = {}
        for layer in reversed(layers):
            merged.update(layer.file.files)
        return {key: entry for key, entry in merged.items() if entry is not None}


def _is_within(key: str, folder: str) -> bool:
    return key == folder or key.startswith(folder.rstrip("\\") + "\\")


def disk_file(owner: HasDrives, path: str) -> DiskFile:
    """The disk at a path, without its chain."""
    return load(owner.drives, path)
