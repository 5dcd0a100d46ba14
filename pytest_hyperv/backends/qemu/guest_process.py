"""A program in the guest, driven through the guest's server."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence

from pytest_hyperv.backends.qemu.guest_channel import Channel
from pytest_hyperv.backends.qemu.guest_connection import Connection
from pytest_hyperv.backends.qemu.guest_wire import (
    KILLED_BY_TIME,
    PIECE,
    Frame,
    Kind,
    data_frames,
    encode,
    read_exit,
    read_failure,
)
from pytest_hyperv.errors import CommandFailed, CommandTimeout

STREAMS = {Kind.STDOUT: 1, Kind.STDERR: 2}


def deadline_after(timeout: float | None) -> float | None:
    """The point of time.monotonic ``timeout`` seconds from now."""
    return None if timeout is None else time.monotonic() + timeout


def exit_of(frame: Frame, argv: Sequence[str]) -> tuple[int, bool]:
    """Exit code and whether its deadline killed it. Raises CommandFailed when the program never ran."""
    if frame.kind == Kind.FAILED:
        raise CommandFailed(
            f"`{shlex.join(argv)}` cannot be run in the guest: {read_failure(frame)[1]}",
            hint="argv[0] is looked up in the guest's PATH and no shell is involved; use sh(...) for shell syntax",
        )
    code, why = read_exit(frame)
    return code, why == KILLED_BY_TIME


def send_piece(connection: Connection, channel: Channel, data: memoryview, deadline: float | None) -> memoryview:
    """Send to a request what its window allows, waiting until it allows something; returns the rest.

    What nobody takes any more is dropped: the rest is empty then.
    """
    room = channel.take_room(min(len(data), PIECE), deadline)
    if not room:
        return data[:0]
    for frame in data_frames(channel.request, bytes(data[:room])):
        connection.send(frame, deadline)
    return data[room:]


class ServerProcess:
    """Implements GuestProcess. One thread may read while another writes.

    A program whose output nobody reads stops once a window of it (1 MiB) waits here.
    """

    def __init__(self, connection: Connection, channel: Channel, argv: Sequence[str], pid: int) -> None:
        self.argv = tuple(argv)
        self.pid = pid
        self._connection = connection
        self._channel = channel

    def read(self, timeout: float | None = None) -> tuple[int, bytes] | None:
        """The next piece of output as (1 or 2, bytes), or None once both streams ended. Raises CommandTimeout."""
        deadline = deadline_after(timeout)
        try:
            frame = self._channel.next(deadline)
            if frame is None or frame.kind not in STREAMS:
                return None
            self._connection.consumed(self._channel, len(frame.payload), deadline)
        except TimeoutError:
            raise self._late("wrote nothing", timeout) from None
        return STREAMS[frame.kind], frame.payload

    def write(self, data: bytes) -> None:
        """Send to the program's standard input, waiting while it does not read.

        Data that comes after it closed its standard input, or ended, is dropped: its exit code tells the story.
        """
        rest = memoryview(data)
        while rest:
            rest = send_piece(self._connection, self._channel, rest, None)

    def close_stdin(self) -> None:
        """Give the program end-of-file on its standard input."""
        if not self._channel.ended:
            self._connection.send(encode(Kind.END, self._channel.request), None)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code (128 + N when signal N ended it). Raises CommandTimeout and leaves it running."""
        try:
            return exit_of(self._channel.final(deadline_after(timeout)), self.argv)[0]
        except TimeoutError:
            raise self._late("did not end", timeout) from None

    def kill(self) -> None:
        """End it and everything it started."""
        if not self._channel.ended:
            self._connection.stop(self._channel)

    def _late(self, what: str, timeout: float | None) -> CommandTimeout:
        return CommandTimeout(
            f"`{shlex.join(self.argv)}` {what} within {timeout:g} s; it still runs", timeout=timeout or 0.0
        )
