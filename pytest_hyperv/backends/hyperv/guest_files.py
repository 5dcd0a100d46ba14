"""Files of a Windows guest over a line into it: in bounded pieces, each way checked by a digest of the whole."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator

from pytest_hyperv.backends.hyperv.line import Line
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.errors import CmdletError, CommandTimeout, CopyError
from pytest_hyperv.psrp.calls import Script

CALL_BYTES = 32 * 1024 * 1024
"""Bytes of one call: a host takes input faster than its guest does, and keeps the difference in memory."""


class Left:
    """Seconds left of a transfer of ``path``, which as a whole may take ``timeout``."""

    def __init__(self, path: str, timeout: float) -> None:
        self._path, self._timeout = path, timeout
        self._end = time.monotonic() + timeout

    def __call__(self) -> float:
        """What is left. Raises CommandTimeout when nothing is."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise CommandTimeout(f"copying {self._path} took longer than {self._timeout:g} s", timeout=self._timeout)
        return left


def write(line: Line, path: str, data: Iterable[bytes], timeout: float) -> None:
    """Put a file into the guest, whole or not at all, the folders above it included. Raises CopyError.

    A call without input makes an empty part; by way of the host it says nothing then (seen on the vendor's engine).
    """
    left, offset, digest = Left(path, timeout), 0, hashlib.sha256()
    with _told(path):
        for portion in _portions(data):
            for piece in portion:
                digest.update(piece)
            done = line.control(Script(text(line.put_script), Path=path, Offset=offset), timeout=left(), input=portion)
            if portion:
                offset += sum(map(len, portion))
                _require(path, done.one.Length == offset, f"{done.one.Length} bytes arrived of {offset}")
        there = line.control(Script(text(line.finish_script), Path=path), timeout=left()).one
        _require(path, there.Sha256 == digest.hexdigest(), "what arrived differs from what was sent")


def read(line: Line, path: str, timeout: float) -> Iterator[bytes]:
    """The pieces of a guest's file; raises CopyError at the end when they are not what the guest has."""
    left, offset, digest, length = Left(path, timeout), 0, hashlib.sha256(), -1
    with _told(path):
        while offset != length:
            script = Script(text(line.get_script), Path=path, Offset=offset, Count=CALL_BYTES)
            *pieces, told = line.control(script, timeout=left()).all
            for piece in pieces:
                digest.update(piece)
                offset += len(piece)
                yield piece
            length = int(told.Length)
            _require(path, bool(pieces) or offset == length, f"it ended at byte {offset} of {length}")
        there = line.control(Script(text(line.get_script), Path=path, Offset=0, Digest=True), timeout=left()).one
        _require(path, there.Sha256 == digest.hexdigest(), "it changed while it was copied")


def require_digest(line: Line, path: str, digest: str, timeout: float) -> None:
    """Raise CopyError when a guest's file does not have this digest ("sha256:...")."""
    with _told(path):
        there = line.control(Script(text(line.get_script), Path=path, Offset=0, Digest=True), timeout=timeout).one
    _require(path, f"sha256:{there.Sha256}" == digest, "what arrived differs from what was sent")


def _portions(data: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Pieces gathered to calls of at most `CALL_BYTES`; an empty file is one call without a piece."""
    waiting: list[bytes] = []
    size, sent = 0, False
    for piece in _cut(data):
        if waiting and size + len(piece) > CALL_BYTES:
            yield waiting
            waiting, size, sent = [], 0, True
        waiting.append(piece)
        size += len(piece)
    if waiting or not sent:
        yield waiting


def _cut(data: Iterable[bytes]) -> Iterator[bytes]:
    for piece in data:
        for at in range(0, len(piece), CALL_BYTES):
            yield piece[at : at + CALL_BYTES]


def _require(path: str, fine: bool, otherwise: str) -> None:
    if not fine:
        raise CopyError(f"{path} was not copied: {otherwise}", hint="copy it again.", path=path)


class _told:
    """Turns the guest's refusal of a file into a CopyError."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, CmdletError):
            reason = error.message.partition(" failed: ")[2] or error.message
            raise CopyError(f"{self._path} cannot be copied: {reason}", path=self._path) from error
