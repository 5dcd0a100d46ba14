"""Cmdlets for files and folders, and for paths."""

from __future__ import annotations

import fnmatch
import hashlib
import ntpath
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tests.hvsim.engine.values import Int64, custom_object
from tests.hvsim.guest.cmdlets.command import Command, Context
from tests.hvsim.guest.files import Found, GuestFileError, absolute
from tests.hvsim.guest.operators import listed, text
from tests.hvsim.values import NetObject

_CLASS = "Microsoft.PowerShell.Commands.{}Command"
_PATH = ("Path",)
_NOT_FOUND = "System.Management.Automation.ItemNotFoundException"


def _paths(context: Context) -> list[str]:
    given = listed(context.get("LiteralPath", context.get("Path"))) or list(context.items())
    return [absolute(text(path), context.shell.folder) for path in given]


@contextmanager
def _telling(context: Context, class_name: str) -> Iterator[None]:
    """Errors of files become error records."""
    try:
        yield
    except GuestFileError as failure:
        missing = failure.code in (2, 3)
        context.error(
            f"Cannot find path '{failure.path}' because it does not exist." if missing else failure.message,
            "PathNotFound" if missing else failure.exception.rpartition(".")[2],
            "ObjectNotFound" if missing else "WriteError",
            exception=_NOT_FOUND if missing else failure.exception,
            target=failure.path,
            class_name=_CLASS.format(class_name),
        )


def test_path(context: Context) -> Iterator[Any]:
    """Whether something is there."""
    wanted = {"leaf": "file", "container": "directory"}.get(text(context.get("PathType")).casefold())
    for path in _paths(context):
        with context.shell.system.open() as guest:
            kind = guest.files.kind(path)
        yield kind is not None if wanted is None else kind == wanted


def get_content(context: Context) -> Iterator[Any]:
    """Lines of a file, its whole text with Raw, its bytes with the encoding Byte."""
    for path in _paths(context):
        with _telling(context, "GetContent"):
            with context.shell.system.open() as guest:
                data = guest.files.read(path)
            if text(context.get("Encoding")).casefold() == "byte":
                yield from list(data)
            elif context.get("Raw"):
                yield data.decode("utf-8", "replace")
            else:
                yield from data.decode("utf-8", "replace").splitlines()


def _lines(context: Context) -> bytes:
    values = [entry for value in listed(context.get("Value")) or context.items() for entry in listed(value)]
    if (
        values
        and all(isinstance(value, int) for value in values)
        and text(context.get("Encoding")).casefold() == "byte"
    ):
        return bytes(values)
    end = "" if context.get("NoNewline") else "\r\n"
    return "".join(f"{text(value)}{end}" for value in values).encode()


def set_content(context: Context) -> Iterator[Any]:
    """Replace what is in a file."""
    yield from ()
    data = _lines(context)
    for path in _paths(context):
        with _telling(context, "SetContent"), context.shell.system.open() as guest:
            guest.files.write(path, data)


def add_content(context: Context) -> Iterator[Any]:
    """Write after what is in a file."""
    yield from ()
    data = _lines(context)
    for path in _paths(context):
        with _telling(context, "AddContent"), context.shell.system.open() as guest:
            guest.files.append(path, data)


def new_item(context: Context) -> Iterator[Any]:
    """Make a file or a folder."""
    for path in _paths(context):
        with _telling(context, "NewItem"):
            with context.shell.system.open() as guest:
                if text(context.get("ItemType")).casefold() in ("directory", "container"):
                    guest.files.make_folder(path)
                elif guest.files.exists(path) and not context.get("Force"):
                    raise GuestFileError(183, path)
                else:
                    guest.files.write(path, text(context.get("Value")).encode())
                found = guest.files.stat(path)
            if found is not None:
                yield item(found)


def get_item(context: Context) -> Iterator[Any]:
    """What is at a path."""
    for path in _paths(context):
        with _telling(context, "GetItem"):
            with context.shell.system.open() as guest:
                found = guest.files.stat(path)
            if found is None:
                raise GuestFileError(2, path)
            yield item(found)


def get_children(context: Context) -> Iterator[Any]:
    """What is in a folder."""
    for path in _paths(context) or [context.shell.folder]:
        with _telling(context, "GetChildItem"):
            with context.shell.system.open() as guest:
                found = guest.files.listdir(path) if guest.files.is_folder(path) else []
                alone = guest.files.stat(path)
            if alone is None:
                raise GuestFileError(2, path)
            wanted = text(context.get("Filter") or "*").casefold()
            for entry in found if alone.kind == "directory" else [alone]:
                if fnmatch.fnmatch(entry.name.casefold(), wanted):
                    yield item(entry)


def remove_item(context: Context) -> Iterator[Any]:
    """Remove files and folders."""
    yield from ()
    for path in _paths(context):
        with _telling(context, "RemoveItem"), context.shell.system.open() as guest:
            guest.files.remove(path, tree=bool(context.get("Recurse")))


def get_hash(context: Context) -> Iterator[Any]:
    """The digest of a file."""
    name = text(context.get("Algorithm") or "SHA256").upper()
    for path in _paths(context):
        with _telling(context, "GetFileHash"):
            with context.shell.system.open() as guest:
                data = guest.files.read(path)
            digest = hashlib.new(name, data, usedforsecurity=False).hexdigest().upper()
            yield custom_object({"Algorithm": name, "Hash": digest, "Path": path})


def join_path(context: Context) -> Iterator[Any]:
    """Two paths as one."""
    yield ntpath.join(text(context.get("Path")), text(context.get("ChildPath")).lstrip("\\"))


def split_path(context: Context) -> Iterator[Any]:
    """The folder of a path, or its last part."""
    path = text(context.get("Path"))
    yield ntpath.basename(path) if context.get("Leaf") else ntpath.dirname(path)


def set_location(context: Context) -> Iterator[Any]:
    """Go to a folder; the session's next script begins there."""
    yield from ()
    for path in _paths(context):
        with _telling(context, "SetLocation"):
            with context.shell.system.open() as guest:
                if not guest.files.is_folder(path):
                    raise GuestFileError(2, path)
            context.shell.variables["pwd"] = path


def get_location(context: Context) -> Iterator[Any]:
    """The current folder."""
    path = context.shell.folder
    yield NetObject(("System.Management.Automation.PathInfo", "System.Object"), {"Path": path}, path)


def item(found: Found) -> NetObject:
    """A file or folder as System.IO has it."""
    written = datetime.fromtimestamp(found.modified, UTC)
    properties: dict[str, object] = {
        "Name": found.name,
        "FullName": found.path,
        "Exists": True,
        "PSIsContainer": found.kind == "directory",
        "LastWriteTime": written,
        "LastWriteTimeUtc": written,
    }
    if found.kind == "directory":
        return NetObject(
            ("System.IO.DirectoryInfo", "System.IO.FileSystemInfo", "System.Object"), properties, found.name
        )
    properties |= {"Length": Int64(found.size), "IsReadOnly": False, "Extension": ntpath.splitext(found.name)[1]}
    return NetObject(("System.IO.FileInfo", "System.IO.FileSystemInfo", "System.Object"), properties, found.path)


_LITERAL = ("LiteralPath",)
COMMANDS = {
    "Test-Path": Command(test_path, _PATH, (*_LITERAL, "PathType")),
    "Get-Content": Command(get_content, _PATH, (*_LITERAL, "Encoding"), ("Raw",)),
    "Set-Content": Command(set_content, ("Path", "Value"), (*_LITERAL, "Encoding"), ("NoNewline", "Force")),
    "Add-Content": Command(add_content, ("Path", "Value"), (*_LITERAL, "Encoding"), ("NoNewline", "Force")),
    "New-Item": Command(new_item, _PATH, ("ItemType", "Value"), ("Force",), aliases={"type": "ItemType"}),
    "Get-Item": Command(get_item, _PATH, _LITERAL, ("Force",)),
    "Get-ChildItem": Command(get_children, ("Path", "Filter"), _LITERAL, ("Force", "Name")),
    "Remove-Item": Command(remove_item, _PATH, _LITERAL, ("Recurse", "Force")),
    "Get-FileHash": Command(get_hash, _PATH, (*_LITERAL, "Algorithm")),
    "Join-Path": Command(join_path, ("Path", "ChildPath")),
    "Split-Path": Command(split_path, _PATH, switches=("Leaf", "Parent")),
    "Set-Location": Command(set_location, _PATH, _LITERAL),
    "Get-Location": Command(get_location),
}
