"""Files and folders of the host as objects, and how cmdlets find them by path."""

from __future__ import annotations

import datetime
import stat
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from tests.hvsim.engine.general.comparison import wildcard
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.engine.values import EnumValue, Int64
from tests.hvsim.host.drives import Drives
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.values import NetObject

READ_ONLY, DIRECTORY, ARCHIVE = 1, 16, 32
"""Numbers of System.IO.FileAttributes."""
_NAMES = {READ_ONLY: "ReadOnly", DIRECTORY: "Directory", ARCHIVE: "Archive"}
_WILD = "*?["
PROVIDER = "Microsoft.PowerShell.Core\\FileSystem"


def paths(inv: Invocation) -> list[str]:
    """The paths a cmdlet is given: -LiteralPath as they are, -Path with its wildcards resolved.

    A wildcard that fits nothing gives nothing; a plain path is given back whether it exists or not.
    """
    literal = inv.value("LiteralPath")
    if literal is not None:
        return [_plain(str(path)) for path in literal]
    given = inv.value("Path") or []
    return [path for pattern in given for path in _resolved(inv.host.drives, _plain(str(pattern)))]


def existing(inv: Invocation) -> Iterator[tuple[str, Path]]:
    """Windows path and real file of each path that exists; an error for each that does not."""
    for path in paths(inv):
        try:
            normal = inv.host.drives.normal(path)
            real = inv.host.drives.resolve(path)
        except HostFailure as failure:
            inv.error(failure)
            continue
        if real.exists():
            yield normal, real
        else:
            inv.error(not_there(path))


def not_there(path: str) -> HostFailure:
    """The path leads nowhere."""
    return HostFailure(
        f"Cannot find path '{path}' because it does not exist.",
        error_id="PathNotFound",
        category="ObjectNotFound",
        target=path,
    )


def is_read_only(real: Path) -> bool:
    """Whether the file may not be written or removed."""
    return real.is_file() and not real.stat().st_mode & stat.S_IWUSR


def item(path: str, real: Path) -> NetObject:
    """A FileInfo or DirectoryInfo with the properties that the provider adds."""
    windows = PureWindowsPath(path)
    folder = real.is_dir()
    name = windows.name or str(windows)
    info = real.stat()
    bag: dict[str, object] = {
        "Name": name,
        "FullName": path,
        "Extension": windows.suffix,
        "Exists": True,
        "Attributes": _attributes(
            (DIRECTORY,) if folder else (READ_ONLY, ARCHIVE) if is_read_only(real) else (ARCHIVE,)
        ),
        "CreationTime": _moment(info.st_ctime),
        "CreationTimeUtc": _moment(info.st_ctime),
        "LastAccessTime": _moment(info.st_atime),
        "LastAccessTimeUtc": _moment(info.st_atime),
        "LastWriteTime": _moment(info.st_mtime),
        "LastWriteTimeUtc": _moment(info.st_mtime),
        "Mode": "d-----" if folder else "-ar---" if is_read_only(real) else "-a----",
        "BaseName": name if folder else windows.stem,
    }
    if not folder:
        bag |= {
            "Length": Int64(info.st_size),
            "IsReadOnly": is_read_only(real),
            "DirectoryName": str(windows.parent),
            "Directory": str(windows.parent),
        }
    else:
        bag |= {"Parent": windows.parent.name, "Root": windows.anchor}
    kind = "DirectoryInfo" if folder else "FileInfo"
    names = (f"System.IO.{kind}", "System.IO.FileSystemInfo", "System.MarshalByRefObject", "System.Object")
    notes: dict[str, object] = {
        "PSPath": f"{PROVIDER}::{path}",
        "PSParentPath": f"{PROVIDER}::{windows.parent}",
        "PSChildName": name,
        "PSDrive": path[0],
        "PSProvider": PROVIDER,
        "PSIsContainer": folder,
    }
    return NetObject(names, {**bag, **notes}, path)


def _plain(path: str) -> str:
    """A path without the name of its provider, with which the paths of objects begin."""
    return path.removeprefix(f"{PROVIDER}::")


def _attributes(numbers: tuple[int, ...]) -> EnumValue:
    names = ", ".join(_NAMES[number] for number in numbers)
    return EnumValue("System.IO.FileAttributes", names, sum(numbers))


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _resolved(drives: Drives, pattern: str) -> list[str]:
    if not any(character in pattern for character in _WILD):
        return [pattern]
    windows = PureWindowsPath(pattern.replace("/", "\\"))
    found = [windows.anchor]
    for part in windows.parts[1:]:
        if any(character in part for character in _WILD):
            matcher = wildcard(part)
            found = [
                str(PureWindowsPath(folder) / entry.name)
                for folder in found
                if drives.resolve(folder).is_dir()
                for entry in sorted(drives.resolve(folder).iterdir())
                if matcher.fullmatch(entry.name)
            ]
        else:
            found = [str(PureWindowsPath(folder) / part) for folder in found]
    return [path for path in found if drives.exists(path)]
