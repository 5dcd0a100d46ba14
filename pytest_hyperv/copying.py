"""Files and folders between host and guest, by the rules of ``cp -r``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from pytest_hyperv.errors import CopyError
from pytest_hyperv.guest import FileFacts, GuestSession
from pytest_hyperv.trees import copy_tree_in, copy_tree_out

PIECE = 1 << 20


def copy_in(session: GuestSession, source: Path, target: str, timeout: float) -> None:
    """Copy a file or folder into the guest, into ``target`` when that is a folder there or ends in a slash."""
    if not source.exists():
        raise CopyError(f"{source} does not exist on this host", path=str(source))
    facts = _facts(session, target)
    if target.endswith(("/", "\\")) or (facts is not None and facts.kind == "directory"):
        name = source.name if source.name not in ("", "..") else source.resolve().name
        target = target.rstrip("/\\") + _separator(target) + name
    if source.is_dir():
        copy_tree_in(session, source, target, timeout)
    elif not session.take_file(source, target, timeout=timeout):
        session.write_file(target, _pieces(source), mode=source.stat().st_mode & 0o777, timeout=timeout)


def copy_out(session: GuestSession, source: str, target: Path, timeout: float) -> Path:
    """Copy a guest's file or folder to the host, into ``target`` when that is a folder; returns the new path."""
    facts = _facts(session, source)
    if facts is None:
        raise CopyError(f"{source} does not exist in the guest", path=source)
    if target.is_dir():
        target = target / _name(source)
    if facts.kind == "directory":
        copy_tree_out(session, source, target, timeout)
    else:
        _receive(session, source, target, timeout)
    return target


def _facts(session: GuestSession, path: str) -> FileFacts | None:
    """Facts of a guest's path; a link to a folder is that folder."""
    facts = session.stat(path)
    if facts is not None and facts.kind == "symlink":
        return session.stat(path.rstrip("/\\") + _separator(path) + ".") or facts
    return facts


def _receive(session: GuestSession, source: str, target: Path, timeout: float) -> None:
    """Write beside ``target`` first, so that it is whole or not there."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, fresh = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                for piece in session.read_file(source, timeout=timeout):
                    file.write(piece)
            Path(fresh).replace(target)
        finally:
            Path(fresh).unlink(missing_ok=True)
    except OSError as error:
        raise CopyError(f"{target} cannot be written: {error.strerror}", path=str(target)) from error


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _separator(guest_path: str) -> str:
    return "\\" if "\\" in guest_path or guest_path[1:2] == ":" else "/"


def _name(guest_path: str) -> str:
    pure = PureWindowsPath if _separator(guest_path) == "\\" else PurePosixPath
    name = pure(guest_path).name
    if not name or name == "..":
        raise CopyError(f"{guest_path!r} has no name to be copied under", path=guest_path)
    return name
