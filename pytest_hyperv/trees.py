"""Whole folders into and out of a guest, as tar streams through its session.

What comes out of a guest is hostile: names must stay inside the target, which is a fresh folder; links are made last,
so that nothing is ever written through one; devices, sockets and the like are refused.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import Literal, cast

from pytest_hyperv.errors import CopyError
from pytest_hyperv.guest import GuestProcess, GuestSession

PIECE = 1 << 20


class _Sink:
    """A file-like end of a process's standard input, as tarfile wants it."""

    def __init__(self, process: GuestProcess) -> None:
        self._process = process

    def write(self, data: bytes) -> int:
        self._process.write(data)
        return len(data)


class _Source:
    """A file-like end of a process's standard output; standard error is kept for the message."""

    def __init__(self, process: GuestProcess, timeout: float) -> None:
        self._process, self._timeout = process, timeout
        self._waiting = b""
        self.errors = b""

    def read(self, size: int) -> bytes:
        while len(self._waiting) < size:
            piece = self._process.read(self._timeout)
            if piece is None:
                break
            if piece[0] == 1:
                self._waiting += piece[1]
            else:
                self.errors = (self.errors + piece[1])[-2000:]
        data, self._waiting = self._waiting[:size], self._waiting[size:]
        return data


def copy_tree_in(session: GuestSession, source: Path, target: str, timeout: float) -> None:
    """Put what is in the folder ``source`` into the guest's folder ``target``, links as links. Raises CopyError."""
    session.make_folder(target, timeout=timeout)
    if session.streams_input:
        _stream_in(session, source, target, timeout)
    else:
        _carry_in(session, source, target, timeout)


def _stream_in(session: GuestSession, source: Path, target: str, timeout: float) -> None:
    process = session.spawn(["tar", "-xf", "-", "-C", target, "--no-same-owner"])
    try:
        _pack(source, cast("tarfile._Fileobj", _Sink(process)), "w|")
        process.close_stdin()
        _finish(process, target, timeout)
    except BaseException:
        process.kill()
        raise


def _carry_in(session: GuestSession, source: Path, target: str, timeout: float) -> None:
    """By way of an archive file in the guest, where a program that runs cannot be written to."""
    scratch = session.scratch_path("tree.tar")
    with tempfile.TemporaryFile(prefix="pytest-hyperv-") as archive:
        _pack(source, cast("tarfile._Fileobj", archive), "w")
        archive.seek(0)
        session.write_file(scratch, iter(lambda: archive.read(PIECE), b""), mode=0o600, timeout=timeout)
    try:
        done = session.run(["tar", "-xf", scratch, "-C", target, "--no-same-owner"], timeout=timeout)
        _require_good_end(done.returncode, target, done.stderr_bytes)
    finally:
        session.remove_file(scratch)


def _pack(source: Path, sink: tarfile._Fileobj, mode: Literal["w", "w|"]) -> None:
    with tarfile.open(fileobj=sink, mode=mode, bufsize=PIECE) as archive:
        for entry in sorted(source.iterdir()):
            archive.add(entry, arcname=entry.name, filter=_anonymous)


def copy_tree_out(session: GuestSession, source: str, target: Path, timeout: float) -> None:
    """Bring what is in the guest's folder ``source`` into the new folder ``target``, whole or not at all.

    Raises CopyError when the guest sends a name that would leave ``target``, a link that points out of it, or a device.
    """
    if target.exists():
        raise CopyError(f"{target} exists already, a folder is only copied to a new place", path=str(target))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise CopyError(f"{target} cannot be made: {error.strerror}", path=str(target)) from error
    try:
        _receive(session, source, target, fresh, timeout)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _receive(session: GuestSession, source: str, target: Path, fresh: Path, timeout: float) -> None:
    process = session.spawn(["tar", "-cf", "-", "-C", source, "."])
    try:
        stream = _Source(process, timeout)
        try:
            with tarfile.open(fileobj=cast("tarfile._Fileobj", stream), mode="r|", bufsize=PIECE) as archive:
                _extract(archive, fresh)
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            why = stream.errors.decode(errors="replace").strip() or error
            raise CopyError(f"{source} could not be copied to {target}: {why}", path=source) from error
        _finish(process, source, timeout, stream.errors)
        fresh.chmod(0o755)
        fresh.rename(target)
    except BaseException:
        process.kill()
        raise


def _finish(process: GuestProcess, path: str, timeout: float, errors: bytes = b"") -> None:
    """Wait for the end of tar, which must be a good one; ``errors`` is what it complained of so far."""
    while (piece := process.read(timeout)) is not None:
        errors = (errors + piece[1])[-2000:]
    _require_good_end(process.wait(timeout), path, errors)


def _require_good_end(code: int, path: str, errors: bytes) -> None:
    if code != 0:
        raise CopyError(
            f"tar in the guest returned {code} for {path}: {errors.decode(errors='replace').strip()}", path=path
        )


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _extract(archive: tarfile.TarFile, root: Path) -> None:
    links: list[tuple[Path, str]] = []
    folders: list[tuple[Path, int]] = []
    for member in archive:
        path = _inside(root, member.name)
        if path == root and member.isdir():
            continue
        if member.isdir():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            folders.append((path, member.mode))
        elif member.isreg():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(archive, member, path)
        elif member.issym():
            links.append((path, _checked_link(root, path, member.linkname)))
        elif member.islnk():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.link(_inside(root, member.linkname), path, follow_symlinks=False)
        else:
            raise CopyError(f"the guest sent {member.name!r}, which is no file, folder or link", path=member.name)
    for path, destination in links:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(above.is_symlink() for above in path.parents if above.is_relative_to(root)):
            raise CopyError(f"the guest sent {path.name!r} below a link", path=path.name)
        path.symlink_to(destination)
    for path, mode in reversed(folders):
        path.chmod(mode & 0o755 | 0o700)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = archive.extractfile(member)
    assert content is not None
    with path.open("xb") as file:
        shutil.copyfileobj(content, file, PIECE)
    path.chmod(member.mode & 0o755 | 0o600)


def _inside(root: Path, name: str) -> Path:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in name or (":" in name and os.name == "nt"):
        raise CopyError(f"the guest sent the name {name!r}, which leads out of the target", path=name)
    return root.joinpath(*parts)


def _checked_link(root: Path, path: Path, destination: str) -> str:
    """A relative destination that climbs only at its beginning, and no higher than the target."""
    parts = PurePosixPath(destination).parts
    climbs = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
    depth = len(path.relative_to(root).parent.parts)
    if destination.startswith("/") or "\\" in destination or ".." in parts[climbs:] or climbs > depth:
        raise CopyError(f"the guest sent a link to {destination!r}, which may lead out of the target", path=str(path))
    return destination
