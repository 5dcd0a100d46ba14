"""A real OpenSSH server on this machine, of the test's own: its port, keys and settings are in one folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from pytest_hyperv.backends.hyperv.ssh_client import SshTarget

PATIENCE = 30.0


def needed() -> str:
    """The path of sshd; skips the test where there is none."""
    found = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin")
    if found is None or shutil.which("ssh") is None:
        pytest.skip("there is no OpenSSH server or client here (Debian: openssh-server)")
    return found


def make_key(path: Path) -> Path:
    """A new key pair without a passphrase."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=PATIENCE)
    return path


class SshServer:
    """A server that runs. Start it again at the same port with `start`. ``programs`` come first in its PATH."""

    def __init__(self, folder: Path, programs: Path | None = None) -> None:
        self._program, self._folder = needed(), folder
        self.key = make_key(folder / "user" / "key")
        make_key(folder / "host_key")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        (folder / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host_key'}\n"
            f"AuthorizedKeysFile {self.key}.pub\nPidFile none\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
            "MaxStartups 100\n" + ("" if programs is None else f"SetEnv PATH={programs}:/usr/bin:/bin\n")
        )
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def target(self) -> SshTarget:
        """This server, as the account the tests run under."""
        return SshTarget(
            "127.0.0.1",
            psutil.Process().username(),
            self.key,
            self._folder / "known_hosts",
            "machine-1",
            port=self.port,
        )

    def start(self) -> None:
        """Listen. Returns once it does."""
        self._server = server = subprocess.Popen(
            [self._program, "-D", "-e", "-f", str(self._folder / "config")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "log").open("ab"),
        )
        waiting = Retrying(retry=retry_if_result(bool), stop=stop_after_delay(PATIENCE), wait=wait_fixed(0.02))
        with suppress(RetryError):
            waiting(lambda: server.poll() is None and not self._listens())
        said = (self._folder / "log").read_text("utf-8", "replace")
        assert self._listens(), f"sshd does not listen: {said}"

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def cut(self) -> None:
        """End every connection, as a lost network does, and listen no more."""
        if self._server is not None:
            for connection in psutil.Process(self._server.pid).children():
                with suppress(psutil.NoSuchProcess):
                    halves = [connection, *_of_server(connection)]
                    for process in halves:
                        process.kill()
                    psutil.wait_procs(halves, PATIENCE)
            self._server.kill()
            self._server.wait(PATIENCE)
            self._server = None


def _of_server(connection: psutil.Process) -> list[psutil.Process]:
    """The unprivileged half of a connection, which belongs to the server and not to what runs behind it."""
    return [child for child in connection.children() if child.name().startswith("sshd")]


@contextmanager
def ssh_server(folder: Path, programs: Path | None = None) -> Iterator[SshServer]:
    """A server that listens until the block is left. Root's runs without privileges in /run/sshd (sshd(8))."""
    needed()
    if sys.platform != "win32" and os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    server = SshServer(folder, programs)
    server.start()
    try:
        yield server
    finally:
        server.cut()
