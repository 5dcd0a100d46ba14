"""Cmdlets over files and folders of the host: New-Item, Test-Path, Get-Item, Get-ChildItem, Remove-Item, Copy-Item.

Error ids and categories are those of PowerShell's FileSystem provider.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from tests.hvsim.engine import errors
from tests.hvsim.engine.general import file_objects
from tests.hvsim.engine.general.comparison import truth, wildcard
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.host.failures import ACCESS_DENIED, DISK_FULL, HostFailure
from tests.hvsim.host.locks import holders, writers
from tests.hvsim.host.state import World
from tests.hvsim.host.strikes import strike
from tests.hvsim.values import net_text

IN_USE = "The process cannot access the file '{}' because it is being used by another process."


def new_item(inv: Invocation) -> Iterator[object]:
    """A folder, with those above it, or a file."""
    kind = str(inv.value("ItemType") or "File").casefold()
    name = inv.value("Name")
    for given in inv.value("Path") or ["C:\\Users\\Administrator\\Documents"]:
        path = str(PureWindowsPath(str(given)) / str(name)) if name else str(given)
        normal, real = inv.host.drives.normal(path), inv.host.drives.resolve(path)
        if kind in ("directory", "container"):
            _new_folder(inv, normal, real)
        elif kind in ("file", "leaf"):
            _new_file(inv, normal, real)
        else:
            raise HostFailure(
                'The type is not a known type for the file system. Only "file","directory" or "symboliclink" can be '
                "specified.",
                error_id="Argument",
                category="InvalidArgument",
                target=path,
            )
        yield file_objects.item(normal, real)


def test_path(inv: Invocation) -> Iterator[object]:
    """Whether each path leads to something, of the kind that -PathType names."""
    kind = net_text(inv.value("PathType")).casefold()
    literal = inv.value("LiteralPath")
    for given in literal if literal is not None else inv.value("Path") or []:
        yield _is_there(inv, str(given), kind, wild=literal is None)


def get_item(inv: Invocation) -> Iterator[object]:
    """The files and folders themselves."""
    for path, real in file_objects.existing(inv):
        yield file_objects.item(path, real)


def get_child_item(inv: Invocation) -> Iterator[object]:
    """What is in the folders, folders first; with -Recurse also below them."""
    if inv.value("LiteralPath") is None and inv.value("Path") is None:
        raise errors.not_simulated(inv.command)
    pattern = wildcard(str(inv.value("Filter") or "*"))
    included = [wildcard(str(entry)) for entry in inv.value("Include") or ["*"]]
    for path, real in file_objects.existing(inv):
        for windows, entry in [(path, real)] if real.is_file() else _below(path, real, bool(inv.value("Recurse"))):
            fits = pattern.fullmatch(entry.name) and any(each.fullmatch(entry.name) for each in included)
            wrong = (inv.value("File") and entry.is_dir()) or (inv.value("Directory") and entry.is_file())
            if fits and not wrong:
                yield entry.name if inv.value("Name") else file_objects.item(windows, entry)


def remove_item(inv: Invocation) -> Iterator[object]:
    """Remove files and folders; what is in use stays and is an error, and so does the folder that holds it."""
    for path, real in file_objects.existing(inv):
        if real.is_dir() and any(real.iterdir()) and not inv.value("Recurse"):
            raise errors.needs_answer(inv.command)
        with inv.host.transaction() as world:
            failures = list(_struck(world, path)) or list(_removed(world, path, real, bool(inv.value("Force"))))
        for failure in failures:
            inv.error(failure)
    return iter(())


def copy_item(inv: Invocation) -> Iterator[object]:
    """Copy files, and with -Recurse folders."""
    destination = str(inv.value("Destination") or "C:\\Users\\Administrator\\Documents")
    for path, real in file_objects.existing(inv):
        target = inv.host.drives.resolve(destination)
        windows = inv.host.drives.normal(destination)
        if target.is_dir():
            target, windows = target / real.name, str(PureWindowsPath(windows) / real.name)
        with inv.host.transaction() as world:
            _refuse_copy(world, path, real, windows, target, bool(inv.value("Force")))
            if real.is_dir():
                shutil.copytree(real, target, dirs_exist_ok=True) if inv.value("Recurse") else target.mkdir(
                    exist_ok=True
                )
            else:
                shutil.copyfile(real, target)
                target.chmod(real.stat().st_mode)
        if inv.value("PassThru"):
            yield file_objects.item(windows, target)


def set_item_property(inv: Invocation) -> Iterator[object]:
    """``-Name IsReadOnly -Value ...``: the only property of a file that is played."""
    if str(inv.value("Name")).casefold() != "isreadonly":
        raise errors.not_simulated(inv.command)
    for path, real in file_objects.existing(inv):
        if real.is_dir():
            raise HostFailure(
                f"The property IsReadOnly does not exist at path {path}.",
                error_id="System.Management.Automation.PSArgumentException",
                category="InvalidArgument",
                target="IsReadOnly",
            )
        mode = real.stat().st_mode
        real.chmod(mode & ~0o222 if truth(inv.value("Value")) else mode | stat.S_IWUSR)
    return iter(())


def _new_folder(inv: Invocation, path: str, real: Path) -> None:
    if real.exists() and not (inv.value("Force") and real.is_dir()):
        raise HostFailure(
            f"An item with the specified name {path} already exists.",
            error_id="DirectoryExist",
            category="ResourceExists",
            target=path,
        )
    with inv.host.transaction() as world:
        _refuse_without_room(world, path, "CreateDirectoryIOError")
        real.mkdir(parents=True, exist_ok=True)


def _new_file(inv: Invocation, path: str, real: Path) -> None:
    if real.exists() and not inv.value("Force"):
        raise _io_error(f"The file '{path}' already exists.", "NewItemIOError", path)
    if not real.parent.is_dir():
        if not inv.value("Force"):
            raise _io_error(f"Could not find a part of the path '{path}'.", "NewItemIOError", path)
        real.parent.mkdir(parents=True)
    with inv.host.transaction() as world:
        _refuse_without_room(world, path, "NewItemIOError")
        real.write_text(net_text(inv.value("Value")), encoding="utf-8")


def _is_there(inv: Invocation, path: str, kind: str, *, wild: bool) -> bool:
    drives = inv.host.drives
    try:
        if wild and any(character in path for character in "*?["):
            return bool(file_objects.paths(inv))
        real = drives.resolve(path)
    except HostFailure:
        return False
    return {"container": real.is_dir(), "leaf": real.is_file()}.get(kind, real.exists())


def _below(path: str, real: Path, recurse: bool) -> Iterator[tuple[str, Path]]:
    entries = sorted(real.iterdir(), key=lambda entry: (entry.is_file(), entry.name.casefold()))
    for entry in entries:
        windows = str(PureWindowsPath(path) / entry.name)
        yield windows, entry
        if recurse and entry.is_dir():
            yield from _below(windows, entry, recurse)


def _struck(world: World, path: str) -> Iterator[HostFailure]:
    if strike(world, "sharing-violation", on="Remove-Item") is not None:
        yield _in_use(path)
    if strike(world, "access-denied", on="Remove-Item") is not None:
        yield _not_allowed(path, f"Access to the path '{path}' is denied. (0x{ACCESS_DENIED:08X}).")


def _removed(world: World, path: str, real: Path, force: bool) -> Iterator[HostFailure]:
    if real.is_dir():
        for entry in sorted(real.iterdir()):
            yield from _removed(world, str(PureWindowsPath(path) / entry.name), entry, force)
        if any(real.iterdir()):
            yield _not_removed(path, "The directory is not empty.")
        else:
            real.rmdir()
    elif world.drives.key(path) in holders(world):
        yield _in_use(path)
    elif file_objects.is_read_only(real) and not force:
        yield _not_allowed(path, "You do not have sufficient access rights to perform this operation.")
    else:
        real.unlink()


def _refuse_copy(world: World, path: str, real: Path, target: str, into: Path, force: bool) -> None:
    if world.drives.key(path) in writers(world):
        raise _io_error(IN_USE.format(path), "CopyFileInfoItemIOError", path)
    if into.exists() and world.drives.key(target) in holders(world):
        raise _io_error(IN_USE.format(target), "CopyFileInfoItemIOError", target)
    if into.is_file() and file_objects.is_read_only(into) and not force:
        raise _not_allowed(
            target, f"Access to the path '{target}' is denied.", "CopyFileInfoItemUnauthorizedAccessError"
        )
    if not into.parent.is_dir():
        raise _io_error(f"Could not find a part of the path '{target}'.", "CopyFileInfoItemIOError", target)
    if not real.is_dir():
        _refuse_without_room(world, target, "CopyFileInfoItemIOError")


def _refuse_without_room(world: World, path: str, error_id: str) -> None:
    if world.disk_filled:
        raise _io_error(f"There is not enough space on the disk. (0x{DISK_FULL:08X}).", error_id, path)


def _in_use(path: str) -> HostFailure:
    return _not_removed(path, IN_USE.format(path))


def _not_removed(path: str, why: str) -> HostFailure:
    return _io_error(f"Cannot remove item {path}: {why}", "RemoveFileSystemItemIOError", path)


def _io_error(message: str, error_id: str, path: str) -> HostFailure:
    return HostFailure(message, error_id=error_id, category="WriteError", target=path)


def _not_allowed(path: str, why: str, error_id: str = "RemoveFileSystemItemUnAuthorizedAccess") -> HostFailure:
    message = f"Cannot remove item {path}: {why}" if error_id.startswith("Remove") else why
    return HostFailure(message, error_id=error_id, category="PermissionDenied", target=path)
