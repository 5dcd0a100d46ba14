"""Files of the guest through its server, streamed under windows."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pytest_hyperv.backends.qemu.guest_channel import Channel
from pytest_hyperv.backends.qemu.guest_connection import Connection
from pytest_hyperv.backends.qemu.guest_process import send_piece
from pytest_hyperv.backends.qemu.guest_wire import (
    Frame,
    Kind,
    encode,
    path_payload,
    read_facts,
    read_failure,
)
from pytest_hyperv.errors import CopyError
from pytest_hyperv.guest import FileFacts
from pytest_hyperv.guest_stream import pieces_of
from pytest_hyperv.posix_guest import kind_of

WINDOW = 1 << 20
"""Bytes of a file that may be under way or unread."""


class ServerFiles:
    """The file requests of one connection. Every method raises CopyError with the guest's own words."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def stat(self, path: str, timeout: float) -> FileFacts | None:
        """Facts of a path, a link not followed; None when nothing is there."""
        deadline = time.monotonic() + timeout
        with self._request(Kind.STAT, _encoded(path), path, "look at", deadline, timeout) as channel:
            answer = channel.final(deadline)
        if answer.kind == Kind.FAILED:
            if read_failure(answer)[0] in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise _refused("look at", path, answer)
        mode, size = read_facts(answer)
        return FileFacts(kind_of(mode), size, stat.S_IMODE(mode))

    def read(self, path: str, timeout: float) -> Iterator[bytes]:
        """A file's bytes, piece by piece. The request begins with the first piece asked for."""
        deadline = time.monotonic() + timeout
        payload = path_payload(WINDOW, _encoded(path))
        with self._request(Kind.GET, payload, path, "read", deadline, timeout, window=WINDOW) as channel:
            while (frame := channel.next(deadline)) is not None and frame.kind == Kind.DATA:
                self._connection.consumed(channel, len(frame.payload), deadline)
                yield frame.payload
            if frame is not None and frame.kind == Kind.FAILED:
                raise _refused("read", path, frame)

    def write(self, path: str, data: Iterable[bytes], mode: int, timeout: float) -> None:
        """Put a file in place whole or not at all."""
        deadline = time.monotonic() + timeout
        payload = path_payload(mode, _encoded(path))
        with self._request(Kind.PUT, payload, path, "write", deadline, timeout) as channel:
            for piece in pieces_of(data):
                rest = memoryview(piece)
                while rest:
                    rest = send_piece(self._connection, channel, rest, deadline)
                if channel.ended:
                    break
            else:
                self._connection.send(encode(Kind.END, channel.request), deadline)
            answer = channel.final(deadline)
        if answer.kind == Kind.FAILED:
            raise _refused("write", path, answer)

    @contextmanager
    def _request(
        self, kind: bytes, payload: bytes, path: str, verb: str, deadline: float, timeout: float, *, window: int = 0
    ) -> Iterator[Channel]:
        try:
            channel = self._connection.open(kind, payload, deadline, window=window)
            try:
                yield channel
            finally:
                self._connection.cancel(channel)
        except TimeoutError:
            raise CopyError(
                f"cannot {verb} {path} in the guest: not done within {timeout:g} s",
                hint="raise timeout= if it is only large",
                path=path,
            ) from None


def _encoded(path: str) -> bytes:
    if "\0" in path:
        raise CopyError(f"a path of the guest cannot hold a NUL character: {path!r}", path=path)
    return os.fsencode(path)


def _refused(verb: str, path: str, answer: Frame) -> CopyError:
    return CopyError(f"cannot {verb} {path} in the guest: {read_failure(answer)[1]}", path=path)
