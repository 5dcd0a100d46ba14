"""A connected stream socket as a pipe."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time

from ..errors import SessionLost

_CHUNK = 1 << 18


class SocketPipe:
    """A :class:`~pytest_hyperv.psrp.pipes.Pipe` over a connected stream socket, of which it becomes the owner.

    ``name`` says in messages what stands at the other end. Any family will do: AF_HYPERV, AF_UNIX, AF_INET.
    """

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._connection = connection
        self._name = name
        self._lock = threading.Lock()
        self._closed = False
        self._wake, self._woken = socket.socketpair()
        connection.setblocking(False)
        self._readable = selectors.DefaultSelector()
        self._readable.register(connection, selectors.EVENT_READ)
        self._readable.register(self._woken, selectors.EVENT_READ)
        self._writable = selectors.DefaultSelector()
        self._writable.register(connection, selectors.EVENT_WRITE)
        self._users = 0

    @property
    def name(self) -> str:
        """What stands at the other end."""
        return self._name

    def send(self, data: bytes, timeout: float) -> None:
        """Send all of ``data`` within ``timeout`` seconds or raise SessionLost."""
        deadline = time.monotonic() + timeout
        rest = memoryview(data)
        with _Use(self):
            while rest:
                try:
                    rest = rest[self._connection.send(rest) :]
                except BlockingIOError:
                    left = deadline - time.monotonic()
                    if left <= 0 or not self._writable.select(left):
                        raise SessionLost(
                            f"{self._name} took {len(data) - len(rest)} of {len(data)} bytes in {timeout:g} s",
                            hint="The other end has stopped reading: open the session again.",
                        ) from None
                except OSError as error:
                    raise self._lost(error) from error

    def receive(self, timeout: float) -> bytes | None:
        """Bytes that have arrived, ``b""`` at the end of the stream, None when ``timeout`` seconds brought none."""
        deadline = time.monotonic() + timeout
        if self._closed:
            return b""
        with _Use(self):
            while not self._closed:
                try:
                    return self._connection.recv(_CHUNK)
                except BlockingIOError:
                    if not self._readable.select(max(0.0, deadline - time.monotonic())):
                        return None
                except ConnectionError:
                    return b""
                except OSError as error:
                    raise self._lost(error) from error
        return b""

    def diagnosis(self) -> str:
        """A socket says nothing beside the protocol."""
        return ""

    def close(self) -> None:
        """Close the connection; wakes a send or receive that waits in another thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._wake.close()
            with contextlib.suppress(OSError):  # the other end may have gone first
                self._connection.shutdown(socket.SHUT_RDWR)
            if self._users == 0:
                self._release()

    def _release(self) -> None:
        for owned in (self._readable, self._writable, self._connection, self._woken):
            owned.close()

    def _lost(self, error: OSError) -> SessionLost:
        return SessionLost(
            f"The connection to {self._name} was lost: {error}", hint="Open the session again once the machine runs."
        )


class _Use:
    """Keeps the socket from being freed under a thread that is inside a call; the last one out frees it."""

    def __init__(self, pipe: SocketPipe) -> None:
        self._pipe = pipe

    def __enter__(self) -> None:
        with self._pipe._lock:
            if self._pipe._closed:
                raise SessionLost(f"{self._pipe._name} must be open to be used, it is closed")
            self._pipe._users += 1

    def __exit__(self, *_: object) -> None:
        with self._pipe._lock:
            self._pipe._users -= 1
            if self._pipe._closed and self._pipe._users == 0:
                self._pipe._release()
