"""The files of a guest as Windows shows them: drives, folders that must be there, links, and the errors of each call.

The system's own files are not on the simulated disk; they are listed here, so that programs find them.
"""

from __future__ import annotations

import ntpath
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tests.hvsim.host.disks import FileEntry, GuestDisk, guest_key

Kind = Literal["file", "directory", "symlink"]

SYSTEM32 = r"C:\Windows\System32"
TOOLS = r"C:\Tools"
TEMP = r"C:\Users\Administrator\AppData\Local\Temp"
HOME = r"C:\Users\Administrator"
STANDARD_FOLDERS = (
    "C:\\",
    r"C:\Windows",
    SYSTEM32,
    r"C:\Windows\System32\drivers\etc",
    r"C:\Windows\System32\WindowsPowerShell\v1.0",
    r"C:\Windows\Temp",
    r"C:\Program Files",
    r"C:\ProgramData",
    r"C:\Users\Public",
    HOME + r"\Documents",
    HOME + r"\Desktop",
    TEMP,
    TOOLS,
)
SYSTEM_PROGRAMS = (
    *("cmd", "hostname", "whoami", "ping", "timeout", "findstr", "more", "sort", "fc", "certutil", "tar", "where"),
    *("taskkill", "tasklist", "shutdown", "sc", "net", "netsh", "reg", "systeminfo", "eventcreate"),
)
"""What is in System32; ``powershell.exe`` has a folder of its own."""
TOOL_PROGRAMS = ("cat", "args", "bugcheck")
"""What is in C:\\Tools, which is in PATH: things that a test needs and Windows has not."""
LINK_MARK = b"!<symlink>\xff\xfe"
"""A link is a small file that begins so and goes on with its destination."""
LINK_LIMIT = 1024
LINK_STEPS = 20

FILE_NOT_FOUND = 2
PATH_NOT_FOUND = 3
DENIED = 5
EXISTS = 183
NOT_EMPTY = 145
NOT_A_FOLDER = 267

MESSAGES = {
    FILE_NOT_FOUND: "The system cannot find the file specified.",
    PATH_NOT_FOUND: "The system cannot find the path specified.",
    DENIED: "Access is denied.",
    EXISTS: "Cannot create a file when that file already exists.",
    NOT_EMPTY: "The directory is not empty.",
    NOT_A_FOLDER: "The directory name is invalid.",
}
"""The texts of the Win32 errors, as ``net helpmsg`` gives them."""

DOTNET = {
    FILE_NOT_FOUND: ("System.IO.FileNotFoundException", "Could not find file '{}'."),
    PATH_NOT_FOUND: ("System.IO.DirectoryNotFoundException", "Could not find a part of the path '{}'."),
    DENIED: ("System.UnauthorizedAccessException", "Access to the path '{}' is denied."),
    EXISTS: ("System.IO.IOException", "The file '{}' already exists."),
    NOT_EMPTY: ("System.IO.IOException", "The directory is not empty."),
    NOT_A_FOLDER: ("System.IO.IOException", "The directory name is invalid."),
}
"""The exception and the message of System.IO for each of them."""


class GuestFileError(Exception):
    """A call of the guest's file system that failed with a Win32 error."""

    def __init__(self, code: int, path: str) -> None:
        super().__init__(f"{MESSAGES[code]} ({path})")
        self.code = code
        self.path = path

    @property
    def text(self) -> str:
        """What a console program prints."""
        return MESSAGES[self.code]

    @property
    def exception(self) -> str:
        """The .NET exception, with its namespace."""
        return DOTNET[self.code][0]

    @property
    def message(self) -> str:
        """What the .NET exception says."""
        return DOTNET[self.code][1].format(self.path)


@dataclass(frozen=True)
class Found:
    """One entry of a folder. `modified` is in simulated seconds."""

    name: str
    path: str
    kind: Kind
    size: int
    modified: float


def absolute(path: str, folder: str) -> str:
    """`path` as seen from the current folder, without ``.``, ``..`` and doubled separators; case is kept."""
    path = path.replace("/", "\\")
    path = path.removeprefix("\\\\?\\")
    if path.startswith("\\") and not path.startswith("\\\\"):
        path = ntpath.splitdrive(folder)[0] + path
    elif len(path) >= 2 and path[1] == ":" and path[2:3] != "\\":
        path = path[:2] + "\\" + path[2:]
    return ntpath.normpath(ntpath.join(folder, path))


class GuestFiles:
    """The files on a guest's disk, within one transaction. Paths are absolute; errors are `GuestFileError`."""

    def __init__(self, disk: GuestDisk) -> None:
        self._disk = disk
        self._system = _system_entries()
        self._seen: dict[str, FileEntry | None] = {}

    def kind(self, path: str) -> Kind | None:
        """What is at a path, None when nothing is. A link is not followed."""
        entry = self._entry(path)
        return None if entry is None else self._kind(entry)

    def is_folder(self, path: str) -> bool:
        """Whether a folder is at the path, or at the end of the links there."""
        return self._entry(self.followed(path)) is not None and self.kind(self.followed(path)) == "directory"

    def exists(self, path: str) -> bool:
        """Whether anything is at the path."""
        return self._entry(path) is not None

    def stat(self, path: str) -> Found | None:
        """The facts of a path, None when nothing is there. A link is not followed."""
        entry = self._entry(path)
        return None if entry is None else self._found(entry)

    def followed(self, path: str) -> str:
        """Where the links lead that are at `path` or in the folders above it."""
        for _ in range(LINK_STEPS):
            step = self._one_link(path)
            if step is None:
                return path
            path = step
        raise GuestFileError(PATH_NOT_FOUND, path)

    def link(self, path: str) -> str:
        """The destination of a link, as it was written."""
        entry = self._entry(path)
        if entry is None or self._kind(entry) != "symlink":
            raise GuestFileError(FILE_NOT_FOUND, path)
        return self._disk.content(entry)[len(LINK_MARK) :].decode()

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        path = self.followed(path)
        entry = self._entry(path)
        if entry is None:
            raise GuestFileError(FILE_NOT_FOUND if self.is_folder(ntpath.dirname(path)) else PATH_NOT_FOUND, path)
        if entry.folder:
            raise GuestFileError(DENIED, path)
        return self._disk.content(entry) if entry.blob else b""

    def write(self, path: str, data: bytes) -> None:
        """Make or replace a file; the folder it is in must be there."""
        path = self.followed(path)
        self._needs_folder(path)
        if self.kind(path) == "directory":
            raise GuestFileError(DENIED, path)
        self._changes().write(path, data)

    def append(self, path: str, data: bytes) -> None:
        """Write after what is in a file, which is made when it is not there."""
        self.write(path, (self.read(path) if self.exists(self.followed(path)) else b"") + data)

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it; quiet when it is there."""
        above = ntpath.dirname(path)
        if above != path:
            self.make_folder(above)
        kind = self.kind(path)
        if kind is None:
            self._changes().make_folder(path)
        elif not self.is_folder(path):
            raise GuestFileError(EXISTS, path)

    def make_link(self, path: str, destination: str) -> None:
        """Make a symbolic link."""
        self._needs_folder(path)
        if self.exists(path):
            raise GuestFileError(EXISTS, path)
        self._changes().write(path, LINK_MARK + destination.encode())

    def remove(self, path: str, *, tree: bool = False) -> None:
        """Remove a file, a link or an empty folder; with `tree` a folder and all that is in it."""
        entry = self._entry(path)
        if entry is None:
            raise GuestFileError(FILE_NOT_FOUND, path)
        if guest_key(path) in self._system:
            raise GuestFileError(DENIED, path)
        if entry.folder and not tree and self.listdir(path):
            raise GuestFileError(NOT_EMPTY, path)
        self._changes().remove(path)

    def move(self, source: str, target: str) -> None:
        """Rename a file or a folder with all that is in it; the target must not be there."""
        if self.exists(target):
            raise GuestFileError(EXISTS, target)
        self._copy(source, target)
        self.remove(source, tree=True)

    def _copy(self, source: str, target: str) -> None:
        entry = self._entry(source)
        if entry is None:
            raise GuestFileError(FILE_NOT_FOUND, source)
        if not entry.folder:
            self._needs_folder(target)
            self._changes().write(target, self._disk.content(entry))
            return
        self.make_folder(target)
        for inner in self.listdir(source):
            self._copy(inner.path, ntpath.join(target, inner.name))

    def listdir(self, path: str) -> list[Found]:
        """What is in a folder, by name."""
        path = self.followed(path)
        if not self.is_folder(path):
            raise GuestFileError(PATH_NOT_FOUND if not self.exists(path) else NOT_A_FOLDER, path)
        prefix = guest_key(path).rstrip("\\") + "\\"
        entries = {
            key: entry
            for key, entry in self._system.items()
            if key.startswith(prefix) and "\\" not in key[len(prefix) :] and key != prefix
        }
        entries.update({guest_key(entry.path): entry for entry in self._disk.listdir(path)})
        return [self._found(entries[key]) for key in sorted(entries)]

    def _needs_folder(self, path: str) -> None:
        if not self.is_folder(ntpath.dirname(path)):
            raise GuestFileError(PATH_NOT_FOUND, path)

    def _entry(self, path: str) -> FileEntry | None:
        key = guest_key(path)
        if key not in self._seen:
            self._seen[key] = self._disk.read(path) or self._system.get(key)
        return self._seen[key]

    def _changes(self) -> GuestDisk:
        """The disk, to be written to: what was seen of it may not be so afterwards."""
        self._seen.clear()
        return self._disk

    def _kind(self, entry: FileEntry) -> Kind:
        if entry.folder:
            return "directory"
        small = entry.blob and entry.size < LINK_LIMIT
        return "symlink" if small and self._disk.content(entry).startswith(LINK_MARK) else "file"

    def _found(self, entry: FileEntry) -> Found:
        kind = self._kind(entry)
        name = ntpath.basename(entry.path) or entry.path
        return Found(name, entry.path, kind, entry.size if kind == "file" else 0, entry.modified)

    def _one_link(self, path: str) -> str | None:
        """The path with its first link replaced by where that leads; None when there is no link in it."""
        drive, rest = ntpath.splitdrive(path)
        parts = [part for part in rest.split("\\") if part]
        for count in range(1, len(parts) + 1):
            here = drive + "\\" + "\\".join(parts[:count])
            if self.kind(here) == "symlink":
                base = absolute(self.link(here), ntpath.dirname(here))
                return ntpath.join(base, *parts[count:])
        return None


def program_paths() -> list[str]:
    """The paths of the programs that every guest has."""
    return [
        SYSTEM32 + r"\WindowsPowerShell\v1.0\powershell.exe",
        *(rf"{SYSTEM32}\{name}.exe" for name in SYSTEM_PROGRAMS),
        *(rf"{TOOLS}\{name}.exe" for name in TOOL_PROGRAMS),
    ]


@cache
def _system_entries() -> dict[str, FileEntry]:
    entries: dict[str, FileEntry] = {}
    for folder in STANDARD_FOLDERS:
        while True:
            entries[guest_key(folder)] = FileEntry(path=folder, folder=True)
            above = ntpath.dirname(folder)
            if above == folder:
                break
            folder = above
    for path in program_paths():
        entries[guest_key(path)] = FileEntry(path=path, size=65536)
    return entries
