"""The host's end of the guest's server: commands and files over a virtio-serial port, many at once."""

from __future__ import annotations

import os
import shlex
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pytest_hyperv.backends.qemu.guest_channel import Channel
from pytest_hyperv.backends.qemu.guest_connection import SILENT, Connection, Listener
from pytest_hyperv.backends.qemu.guest_files import ServerFiles
from pytest_hyperv.backends.qemu.guest_process import STREAMS, ServerProcess, exit_of, send_piece
from pytest_hyperv.backends.qemu.guest_wire import (
    Frame,
    Kind,
    RunFlags,
    WireError,
    clock_payload,
    encode,
    read_begun,
    read_failure,
    run_payload,
)
from pytest_hyperv.errors import CommandFailed, CommandTimeout, GuestError, SessionLost
from pytest_hyperv.guest import OUTPUT_LIMIT, CommandResult, FileFacts, Output
from pytest_hyperv.guest_stream import OutputCollector, pieces_of
from pytest_hyperv.posix_guest import PosixGuest

WINDOW = 1 << 20
"""Bytes of a program's output that may be under way or unread."""

GRACE = 5.0
"""Seconds beyond a command's time-out that the guest has to kill it and say so."""

SHORT = 30.0
"""Seconds for requests that have no deadline of their own and take the guest a moment."""


class GuestServer(PosixGuest):
    """Implements GuestSession over a connected stream socket, for any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._files = ServerFiles(connection)

    @classmethod
    def connect(cls, sock: socket.socket, timeout: float, listener: Listener = SILENT) -> GuestServer:
        """Synchronise with the server in the guest and take the socket over; one round trip.

        Raises CommandTimeout when nobody answers in ``timeout`` seconds and SessionLost when the stream ends; the
        socket stays the caller's then.
        """
        return cls(Connection.connect(sock, timeout, listener))

    @property
    def ended(self) -> bool:
        """Whether the session is over and another one must be opened."""
        return self._connection.ended

    @property
    def said_bye(self) -> bool:
        """Whether the server took leave because the guest shuts down; an end without it was not announced."""
        return self._connection.said_bye

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes | Iterable[bytes] | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        on_output: Output | None = None,
        output_limit: int = OUTPUT_LIMIT,
    ) -> CommandResult:
        """Run a program without a shell. After ``timeout`` seconds it is killed in the guest: CommandTimeout.

        An iterable ``input`` is drawn from as fast as the program reads. More than ``output_limit`` bytes on one
        stream end the program: CommandFailed, as when it cannot be started at all. What it leaves in the background
        goes on, and holds the call for at most a second.
        """
        started = time.monotonic()
        deadline = started + timeout + GRACE
        output = OutputCollector(argv, output_limit, on_output)
        flags = RunFlags(0) if input is None else RunFlags.STDIN
        channel = self._start(argv, flags, cwd, env, timeout, deadline)
        try:
            final = self._converse(channel, None if input is None else pieces_of(input), output, deadline)
        except TimeoutError:
            raise output.out_of_time(timeout) from None
        finally:
            self._connection.cancel(channel)
        code, killed_by_time = exit_of(final, argv)
        if killed_by_time:
            raise output.out_of_time(timeout)
        return output.result(code, time.monotonic() - started)

    def _start(
        self,
        argv: Sequence[str],
        flags: RunFlags,
        cwd: str | None,
        env: Mapping[str, str] | None,
        timeout: float,
        deadline: float,
    ) -> Channel:
        try:
            payload = run_payload(
                [os.fsencode(part) for part in argv],
                flags=flags,
                timeout=timeout,
                window=WINDOW,
                cwd=os.fsencode(cwd or ""),
                env={os.fsencode(name): os.fsencode(value) for name, value in (env or {}).items()},
            )
            return self._connection.open(Kind.RUN, payload, deadline, window=WINDOW)
        except WireError as error:
            raise CommandFailed(f"`{shlex.join(argv)}` cannot be sent to the guest: {error}") from error
        except TimeoutError:
            raise CommandTimeout(
                f"`{shlex.join(argv)}` could not be sent within {timeout + GRACE:g} s: the guest does not read",
                timeout=timeout,
            ) from None

    def _converse(
        self, channel: Channel, pieces: Iterator[bytes] | None, output: OutputCollector, deadline: float
    ) -> Frame:
        rest = memoryview(b"")
        while True:
            frame = channel.next(deadline, or_room=pieces is not None)
            if frame is None:
                if not rest and pieces is not None:
                    rest = memoryview(next(pieces, b"") if channel.takes_input else b"")
                if rest:
                    rest = send_piece(self._connection, channel, rest, deadline)
                else:
                    pieces = None
                    self._connection.send(encode(Kind.END, channel.request), deadline)
            elif frame.kind in STREAMS:
                output.take(STREAMS[frame.kind], frame.payload)
                self._connection.consumed(channel, len(frame.payload), deadline)
            elif frame.kind != Kind.BEGUN:
                return frame

    def spawn(
        self, argv: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> ServerProcess:
        """Start a program and return while it runs. Raises CommandFailed when it cannot be started."""
        deadline = time.monotonic() + SHORT
        channel = self._start(argv, RunFlags.STDIN | RunFlags.CONFIRM, cwd, env, 0.0, deadline)
        try:
            first = channel.next(deadline)
            if first is not None and first.kind == Kind.FAILED:
                exit_of(first, argv)
            if first is None or first.kind != Kind.BEGUN:
                raise SessionLost(f"the guest's server did not say that `{shlex.join(argv)}` began")
            return ServerProcess(self._connection, channel, argv, read_begun(first))
        except TimeoutError:
            self._connection.cancel(channel)
            raise CommandTimeout(f"`{shlex.join(argv)}` did not start within {SHORT:g} s", timeout=SHORT) from None
        except BaseException:
            self._connection.cancel(channel)
            raise

    def stat(self, path: str) -> FileFacts | None:
        """Facts of a path, a link not followed; None when nothing is there. Raises CopyError."""
        return self._files.stat(path, SHORT)

    def read_file(self, path: str, *, timeout: float) -> Iterator[bytes]:
        """A file's or block device's bytes, piece by piece, all within ``timeout`` seconds. Raises CopyError."""
        return self._files.read(path, timeout)

    def write_file(self, path: str, data: Iterable[bytes], *, mode: int, timeout: float) -> None:
        """Put a file in place whole or not at all, folders above it included. Raises CopyError.

        It is written beside its name and renamed, so a link of that name is replaced, not followed.
        """
        self._files.write(path, data, mode, timeout)

    def set_clock(self, unix_seconds: float) -> None:
        """Set the guest's clock, in seconds since 1970 UTC. Raises GuestError when the guest refuses."""
        answer = self._ask(Kind.CLOCK, clock_payload(unix_seconds), SHORT)
        if answer.kind == Kind.FAILED:
            raise GuestError(f"the guest's clock cannot be set: {read_failure(answer)[1]}")

    def ping(self, timeout: float) -> None:
        """Ask for a sign of life. Raises CommandTimeout or SessionLost."""
        self._ask(Kind.PING, b"", timeout)

    def _ask(self, kind: bytes, payload: bytes, timeout: float) -> Frame:
        deadline = time.monotonic() + timeout
        try:
            channel = self._connection.open(kind, payload, deadline)
            try:
                return channel.final(deadline)
            finally:
                self._connection.cancel(channel)
        except TimeoutError:
            raise CommandTimeout(f"the guest's server did not answer within {timeout:g} s", timeout=timeout) from None

    def abort(self, reason: Exception) -> None:
        """End every waiting call with ``reason``, and every later one too. From any thread."""
        self._connection.abort(reason)

    def close(self) -> None:
        """End the session: what runs in the guest on its behalf is killed there. Idempotent."""
        self._connection.close()
