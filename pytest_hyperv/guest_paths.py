"""Files that a test wants to see when it has failed, read from its guest within limits, under names of our own."""

from __future__ import annotations

import tarfile
import time
from collections.abc import Iterator
from typing import cast

from pytest_hyperv.artifacts import guest_name, safe_name
from pytest_hyperv.errors import CommandTimeout, CopyError, HypervError
from pytest_hyperv.guest import FileFacts, GuestProcess, GuestSession

FILE_LIMIT = 8 * 1024 * 1024
"""Bytes taken of one file, the first ones."""
TREE_LIMIT = 32 * 1024 * 1024
"""Bytes taken of one folder."""
MOST = 100
"""Files taken of one folder."""
Found = tuple[str, bytes, str]
"""A safe name, the content, and a note: the path in the guest and what is missing."""


def read_path(session: GuestSession, path: str, timeout: float) -> Iterator[Found]:
    """The file at ``path``, or those in the folder there. Raises CopyError, CommandTimeout.

    What is neither, a device for example, is refused; a link is followed in the guest, where it can do no harm.
    """
    facts = session.stat(path)
    if facts is not None and facts.kind == "symlink":
        facts = session.stat(f"{path.rstrip('/')}/.") or FileFacts("file", 0, 0)
    if facts is None:
        raise CopyError(f"{path} does not exist in the guest", path=path)
    if facts.kind == "directory":
        yield from _folder(session, path, timeout)
    elif facts.kind == "file":
        data, more = _beginning(session.read_file(path, timeout=timeout))
        yield guest_name(path), data, _note(path, more)
    else:
        raise CopyError(f"{path} is neither a file nor a folder", path=path)


def _beginning(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """The first bytes of a file, and whether there are more."""
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > FILE_LIMIT:
            break
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
    return bytes(data[:FILE_LIMIT]), len(data) > FILE_LIMIT


def _note(path: str, more: bool) -> str:
    return f"{path}, the first {FILE_LIMIT} bytes" if more else path


def _folder(session: GuestSession, path: str, timeout: float) -> Iterator[Found]:
    process = session.spawn(["tar", "-cf", "-", "-C", path, "."])
    try:
        stream = cast("tarfile._Fileobj", _Stream(process, path, timeout))
        room = TREE_LIMIT
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            files = (member for member in archive if member.isreg())
            for number, member in enumerate(files):
                content = archive.extractfile(member)
                if number == MOST or min(member.size, FILE_LIMIT) > room or content is None:
                    left_out = f"{path} holds more: {MOST} files and {TREE_LIMIT} bytes are taken at most\n"
                    yield "left-out.log", left_out.encode("utf-8", "replace"), path
                    return
                data = content.read(FILE_LIMIT)
                room -= len(data)
                name = f"{safe_name(path)}-{guest_name(member.name)}"
                yield name, data, _note(f"{path}: {member.name}", member.size > FILE_LIMIT)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise CopyError(f"{path} could not be read: {error}", path=path) from error
    finally:
        _end(process)


def _end(process: GuestProcess) -> None:
    try:
        process.kill()
    except HypervError:
        return


class _Stream:
    """What a program of the guest writes, as a file to be read once."""

    def __init__(self, process: GuestProcess, path: str, timeout: float) -> None:
        self._process, self._path, self._deadline = process, path, time.monotonic() + timeout
        self._held = bytearray()

    def read(self, size: int) -> bytes:
        """The next bytes, fewer at the end. Raises CommandTimeout."""
        while len(self._held) < size:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise CommandTimeout(f"{self._path} could not be read in time")
            piece = self._process.read(left)
            if piece is None:
                break
            if piece[0] == 1:
                self._held += piece[1]
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken
