"""A guest server on this machine: a listening socket stands in for the virtio-serial port."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest

from pytest_hyperv.backends.qemu.guest_server import GuestServer
from pytest_hyperv.backends.qemu.guest_wire import SYNC, SYNCED, TOKEN

PROGRAM = Path(str(files("pytest_hyperv.backends.qemu") / "guest_server.pl"))
ANSWER = 20.0
"""Seconds a busy machine may take for what takes milliseconds."""


_BEFORE: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def threads_of_others() -> None:
    """Note the threads that a test finds: machines that other tests of this process share have readers too."""
    _BEFORE.clear()
    _BEFORE.update(threading.enumerate())


def reading_threads() -> list[threading.Thread]:
    """The readers of sessions that this test has opened and that still run."""
    return [each for each in threading.enumerate() if each.name == "pytest-hyperv-guest" and each not in _BEFORE]


@dataclass
class LocalServer:
    """The server's process and the address where it accepts one host after another."""

    process: subprocess.Popen[bytes]
    address: str

    def dial(self) -> socket.socket:
        """A fresh connection to the port, not yet synchronised."""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.address)
        return sock

    def session(self) -> GuestServer:
        """A synchronised session on a fresh connection."""
        return GuestServer.connect(self.dial(), ANSWER)

    def resident(self) -> int:
        """Bytes of memory the server holds."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


def gone(pid: int, timeout: float = ANSWER) -> bool:
    """Wait for a process, whoever's child it is, to end."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], timeout)[0])
    finally:
        os.close(watched)


def synchronise(sock: socket.socket) -> None:
    """Begin a session by hand, as a host does that will not be there when it ends."""
    token = os.urandom(TOKEN)
    sock.sendall(SYNC + token)
    seen = b""
    while SYNCED + token not in seen:
        seen += sock.recv(4096)


StartServer = Callable[..., LocalServer]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers, optionally under a wrapping command, and ends them."""
    perl = shutil.which("perl")
    if perl is None:
        pytest.skip("no perl on this machine")
    started: list[LocalServer] = []

    def start(wrapper: Sequence[str] = ()) -> LocalServer:
        address = str(tmp_path / f"port{len(started)}")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()
            number = listener.fileno()
            argv = [*wrapper, perl, "-w", str(PROGRAM), "--accept", str(number)]
            process = subprocess.Popen(argv, pass_fds=[number], stdin=subprocess.DEVNULL, cwd=tmp_path)
        started.append(LocalServer(process, address))
        return started[-1]

    yield start
    for server in started:
        server.process.terminate()
        server.process.wait(ANSWER)


@pytest.fixture
def server(start_server: StartServer) -> LocalServer:
    """One running server."""
    return start_server()


@pytest.fixture
def session(server: LocalServer) -> Iterator[GuestServer]:
    """A session with it."""
    opened = server.session()
    yield opened
    opened.close()
