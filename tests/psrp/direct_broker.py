"""A guest's end of PowerShell Direct as a program: a broker and a session server on two Unix sockets.

Reads one JSON object (a :class:`Plan`) from stdin, prints ``{}`` and ends when stdin does. The session server
starts ``command`` with the connection as its stdin and stdout, as the guest's service starts PowerShell.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from pytest_hyperv.psrp.hvsocket import BROKER_SERVICE, SESSION_SERVICE, Connect
from pytest_hyperv.psrp.psdirect_handshake import Conversation, Login, Token, broker_server, token_server
from tests.psrp.doubles import started

SOCKET_NAMES = {BROKER_SERVICE: "broker.sock", SESSION_SERVICE: "session.sock"}


@dataclass(frozen=True)
class Plan:
    """How the double behaves.

    ``faults`` names any of ``hang-broker``, ``hang-session``, ``hang-up``, ``expired-token``, ``other-token`` and
    ``no-configurations`` (the last is a broker of version 1 that answers PASS instead of CONF).
    """

    directory: str
    command: list[str]
    user: str = "tester"
    password: str = "pä$$"
    version: int = 2
    faults: list[str] = dataclasses.field(default_factory=list)


@contextlib.contextmanager
def running(plan: Plan) -> Iterator[Connect]:
    """The program, started with ``plan``, and a way to connect to it; it has ended when the block has."""
    with started("tests.psrp.direct_broker", plan):
        yield unix_connect(Path(plan.directory))


def unix_connect(directory: Path) -> Connect:
    """Connects to the double's sockets in ``directory`` as a host would to a guest's services."""

    def connect(service: UUID, timeout: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        try:
            connection.connect(str(directory / SOCKET_NAMES[service]))
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


@contextlib.contextmanager
def short_directory() -> Iterator[str]:
    """A directory whose path leaves room for a socket's name (108 bytes)."""
    with tempfile.TemporaryDirectory(prefix="psd") as path:
        yield path


class Guest:
    """Both services of one guest; a token that the broker gave opens one session."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._tokens: list[Token] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._held: list[socket.socket] = []

    def accept(self, login: Login) -> Token | None:
        """A token for the plan's account, None for any other."""
        if (login.user, login.password.reveal()) != (self._plan.user, self._plan.password):
            return None
        age = 601.0 if "expired-token" in self._plan.faults else 0.0
        token = Token(secrets.token_urlsafe(24), time.monotonic() - age)
        self._tokens.append(Token("T1RIRVI=", token.issued) if "other-token" in self._plan.faults else token)
        return token

    def serve_broker(self, connection: socket.socket) -> None:
        """Take one login."""
        if self._misbehaves("broker", connection):
            return
        confirm = b"PASS" if "no-configurations" in self._plan.faults else b"CONF"
        with connection:
            _converse(connection, broker_server(self.accept, version=self._plan.version, confirm=confirm))

    def serve_session(self, connection: socket.socket) -> None:
        """Check the token, then hand the connection to the command."""
        if self._misbehaves("session", connection):
            return
        with connection:
            if self._plan.version >= 2:
                check = token_server(self._tokens.pop(), now=time.monotonic())
                if not _converse(connection, check):
                    return
            stream = connection.fileno()
            process = subprocess.Popen(self._plan.command, stdin=stream, stdout=stream)
            self._processes.append(process)
            _wait_for_either_end(process, connection)

    def end(self) -> None:
        """Kill what the sessions started."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _misbehaves(self, service: str, connection: socket.socket) -> bool:
        if f"hang-{service}" in self._plan.faults:
            self._held.append(connection)
            return True
        if "hang-up" in self._plan.faults:
            connection.close()
            return True
        return False


def _wait_for_either_end(process: subprocess.Popen[bytes], connection: socket.socket) -> None:
    """Return once the process has ended; it has a second to do so after the other end hung up."""
    watch = select.poll()
    watch.register(connection, getattr(select, "POLLRDHUP", 0))
    while process.poll() is None and not watch.poll(20):
        pass
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _converse(connection: socket.socket, ours: Conversation[Any]) -> bool:
    """Run the guest's side to its end; False when it failed, which the other side learns from the protocol alone."""
    outgoing = ours.begin()
    while not ours.finished:
        if outgoing:
            connection.sendall(outgoing)
        outgoing = ours.take(connection.recv(1024))
    if outgoing:
        connection.sendall(outgoing)
    try:
        ours.result()
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return False
    return True


def _listen(path: Path, serve: Callable[[socket.socket], None]) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def loop() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


def main() -> None:
    """Serve until stdin ends."""
    plan = Plan(**json.loads(sys.stdin.readline()))
    guest = Guest(plan)
    _listen(Path(plan.directory) / SOCKET_NAMES[BROKER_SERVICE], guest.serve_broker)
    _listen(Path(plan.directory) / SOCKET_NAMES[SESSION_SERVICE], guest.serve_session)
    print("{}", flush=True)
    sys.stdin.read()
    guest.end()


if __name__ == "__main__":
    main()
