"""The HTTP side of a WinRM service: connections, their authentication, and what it does to them when it misbehaves."""

from __future__ import annotations

import collections
import contextlib
import socket
import ssl
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from tests.psrp import winrm_soap as soap
from tests.psrp.winrm_auth import SEALED_TYPE, Account, Login, Unreadable
from tests.psrp.winrm_misbehaviour import PROCESSED, WHOLE, Schedule, enact
from tests.psrp.winrm_shells import Shells
from tests.psrp.winrm_soap import Call, Refused

PLAIN_TYPE = "application/soap+xml;charset=UTF-8"


@dataclass
class Service:
    """What all connections share."""

    account: Account
    shells: Shells
    envelope_limit: int
    allow_plaintext: bool
    schedule: Schedule = field(default_factory=Schedule)
    ended: threading.Event = field(default_factory=threading.Event)
    operations: collections.Counter[str] = field(default_factory=collections.Counter)
    idle: dict[socket.socket, Login] = field(default_factory=dict)
    receives_waiting: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def drop_idle(self) -> int:
        """Close every connection that waits for a request; how many there were."""
        with self.lock:
            dropped = list(self.idle)
        for connection in dropped:
            with contextlib.suppress(OSError):  # the other end may have been faster
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        return len(dropped)

    def forget_logins(self) -> None:
        """Make every connection that waits for a request one that nobody has authenticated."""
        with self.lock:
            for login in self.idle.values():
                login.forget()


class WinRMServer(ThreadingHTTPServer):
    """A listener on loopback; with an ``ssl_context`` it speaks HTTPS."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, service: Service, ssl_context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), WinRMHandler)
        self.service = service
        self.ssl_context = ssl_context

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept; the TLS handshake happens in the connection's own thread, at its first read."""
        connection, address = super().get_request()
        if self.ssl_context is not None:
            connection = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that ends early is the other end's affair; anything else is a defect of the double."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(cast(socket.socket, request), client_address)


class WinRMHandler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        """Start unauthenticated."""
        super().setup()
        server = cast(WinRMServer, self.server)
        self._service = server.service
        self._encrypted = server.ssl_context is not None
        self._login = Login(self._service.account, basic=self._encrypted or self._service.allow_plaintext)

    def handle_one_request(self) -> None:
        """Wait for a request as one of the idle."""
        with self._service.lock:
            self._service.idle[self.connection] = self._login
        try:
            super().handle_one_request()
        finally:
            self._no_longer_idle()

    def do_POST(self) -> None:
        """Answer one message."""
        self._no_longer_idle()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        sealed = self.headers.get("Content-Type", "").startswith("multipart/encrypted")
        self._count("http")
        if body and not sealed and not self._encrypted:
            self._count("in the clear")
        passes, challenges = self._login.check(self.headers.get("Authorization"), certified=self._certified())
        if self.path != "/wsman" or not passes:
            self._reply(404 if self.path != "/wsman" else 401, b"", challenges=challenges)
        elif not body:
            self._reply(200, b"", challenges=challenges)
        else:
            self._answer(body, sealed=sealed)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, body: bytes, *, sealed: bool) -> None:
        try:
            message = self._login.unseal(body) if sealed else body
        except Unreadable:
            self._count("unreadable")
            self._reply(401, b"", challenges=self._login.challenges)
            return
        if not sealed and not self._encrypted and not self._service.allow_plaintext:
            self._reply(500, b"")
            return
        try:
            call = soap.parsed(message)
        except (ET.ParseError, ValueError):
            self._reply(400, b"")
            return
        self._count(call.operation)
        how = self._service.schedule.next_for(call.operation)
        status, answer = (200, b"") if how and how not in PROCESSED else self._carry_out(call, len(message))
        content, kind = (self._login.seal(answer), SEALED_TYPE) if sealed else (answer, PLAIN_TYPE)
        if how is None:
            self._reply(status, content, kind=kind)
            return
        self.close_connection = how not in WHOLE
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
        enact(how, self.connection, head.encode() + content, self._service.ended)

    def _carry_out(self, call: Call, size: int) -> tuple[int, bytes]:
        try:
            if size > self._service.envelope_limit:
                raise Refused(
                    soap.ENVELOPE_TOO_LARGE,
                    f"The WS-Management service cannot process the request: {size} bytes exceed the maximum envelope "
                    f"size of {self._service.envelope_limit}.",
                )
            with self._counted_as_waiting(call):
                return 200, self._service.shells.answer(call)
        except Refused as refused:
            return 500, soap.fault(call, refused)

    @contextlib.contextmanager
    def _counted_as_waiting(self, call: Call) -> Iterator[None]:
        one = int(call.operation == "Receive")
        with self._service.lock:
            self._service.receives_waiting += one
        try:
            yield
        finally:
            with self._service.lock:
                self._service.receives_waiting -= one

    def _reply(
        self, status: int, content: bytes, *, kind: str = PLAIN_TYPE, challenges: list[str] | None = None
    ) -> None:
        self.send_response(status)
        for challenge in challenges or []:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _certified(self) -> bool:
        return self._encrypted and bool(cast(ssl.SSLSocket, self.connection).getpeercert())

    def _count(self, what: str) -> None:
        with self._service.lock:
            self._service.operations[what] += 1

    def _no_longer_idle(self) -> None:
        with self._service.lock:
            self._service.idle.pop(self.connection, None)
