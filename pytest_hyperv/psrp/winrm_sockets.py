"""The TCP connections under a requests session: bounded, counted, and breakable from another thread."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import is_connection_dropped

_LONGEST_CONNECT = 15.0
_KEEP_ALIVE = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class Sockets:
    """Knows every TCP connection that its adapters make. ``deadline`` (monotonic seconds) bounds connects and reads."""

    def __init__(self) -> None:
        self.deadline = 0.0
        self.requests_made = 0
        self._lock = threading.Lock()
        self._alive: list[HTTPConnection] = []

    def watch(self, session: requests.Session, url: str) -> None:
        """Make ``session`` reach ``url`` through connections that are known here; once per session.

        It stops looking at the environment for proxies and passwords, which it would do for every request.
        """
        if not isinstance(session.get_adapter(url), _Adapter):
            session.mount(url, _Adapter(self))
            session.trust_env = False

    def newest_dropped(self) -> bool:
        """Whether the connection made last was closed, by either end."""
        with self._lock:
            return bool(self._alive) and (self._alive[-1].sock is None or is_connection_dropped(self._alive[-1]))

    def cut(self) -> None:
        """Break every connection, so that a thread that waits for one of them fails now."""
        with self._lock:
            for connection in self._alive:
                if connection.sock is not None:
                    # The plain socket's shutdown: an SSLSocket's own one would take the TLS state from its reader.
                    with contextlib.suppress(OSError):  # it may have ended by itself
                        socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def born(self, connection: HTTPConnection) -> None:
        """Remember a connection that was just made, and forget those that are closed."""
        with self._lock:
            self._alive = [known for known in self._alive if known.sock is not None] + [connection]


class _Adapter(HTTPAdapter):
    """Sends through connections that tell ``sockets`` of their birth, each request within its deadline."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        options["socket_options"] = [*HTTPConnection.default_socket_options, _KEEP_ALIVE]
        super().init_poolmanager(connections, maxsize, block, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._sockets)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,  # noqa: ARG002  the deadline of the call stands in its place
        verify: bool | str = True,
        cert: Any = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        left = self._sockets.deadline - time.monotonic()
        if left <= 0:
            raise requests.ReadTimeout("the time was over before the request was sent")
        self._sockets.requests_made += 1
        return super().send(request, stream, (min(left, _LONGEST_CONNECT), left), verify, cert, proxies)


def _pools(sockets: Sockets) -> dict[str, Any]:
    class PlainConnection(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            sockets.born(self)

    class TlsConnection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            sockets.born(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": PlainPool, "https": TlsPool}
