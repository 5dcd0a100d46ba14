"""One QEMU process with its channels, from its start to its end. A machine lives through several of them."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from pytest_hyperv.backends.qemu import tpm
from pytest_hyperv.backends.qemu.command_line import LOG, Channels
from pytest_hyperv.backends.qemu.qmp import Event, Monitor
from pytest_hyperv.errors import MachineError

CHANNELS = ("monitor", "agent", "server", "powershell")
"""Connected from the start by who starts the process."""
VISITOR = "visitor"
"""A monitor for another process, which nobody is connected to at first."""
START = 30.0
"""Seconds QEMU may take until its monitor answers; it takes 0.05 on an idle machine."""
END = 10.0
"""Seconds a killed process may take to be gone."""
ERRORS = "qemu.err"
Process = subprocess.Popen[bytes] | psutil.Process


def connect(folder: Path, channel: str) -> socket.socket:
    """A new connection to one of ``CHANNELS`` of the machine in ``folder``, however long its path is."""
    return _through_folder(folder, channel, socket.socket.connect)


def _listen(folder: Path, channel: str) -> socket.socket:
    (folder / f"{channel}.sock").unlink(missing_ok=True)
    listener = _through_folder(folder, channel, socket.socket.bind)
    listener.listen(1)
    return listener


def _through_folder(folder: Path, channel: str, act: Callable[[socket.socket, str], None]) -> socket.socket:
    # A Unix socket's address holds 108 bytes; the folder's descriptor stands for a path of any length.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        act(sock, f"/proc/self/fd/{handle}/{channel}.sock")
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(handle)
    return sock


@dataclass(frozen=True)
class Launch:
    """How a process is started: its arguments, once the channels' descriptors are known, and its surroundings."""

    argv: Callable[[Channels], list[str]]
    with_tpm: bool
    environment: dict[str, str]
    card: socket.socket | None = None
    """The network card's end of its cable, given to the process."""


class Instance:
    """A QEMU process: one that this process starts, or one that runs already."""

    def __init__(
        self, name: str, folder: Path, *, on_event: Callable[[Event], None], on_end: Callable[[], None]
    ) -> None:
        self.name, self.folder = name, folder
        self.monitor = Monitor(name, on_event, on_end)
        self._processes: list[Process] = []
        self._sockets: dict[str, socket.socket] = {}

    def start(self, launch: Launch) -> None:
        """Start the process, its sockets connected before, so that nothing has to be polled for.

        Raises MachineError with QEMU's words when it does not come up; nothing is left then.
        """
        try:
            self._start(launch)
            self.monitor.connect(self._sockets.pop("monitor"), START)
        except BaseException as error:
            self.kill()
            if isinstance(error, MachineError):
                raise self._explained(error) from error
            raise

    def attach(self, processes: Sequence[psutil.Process], monitor: str) -> None:
        """Speak to a machine's processes that run, on a monitor that nobody uses. Raises MachineError."""
        try:
            sock = connect(self.folder, monitor)
        except OSError as error:
            raise MachineError(f"the QEMU of {self.name} does not listen: {error}", machine=self.name) from error
        self.monitor.connect(sock, START)
        self._processes = [*processes]

    def _start(self, launch: Launch) -> None:
        with ExitStack() as ours:
            listeners = {name: ours.enter_context(_listen(self.folder, name)) for name in (*CHANNELS, VISITOR)}
            for channel in CHANNELS:
                self._sockets[channel] = connect(self.folder, channel)
            inherited = {channel: listener.fileno() for channel, listener in listeners.items()}
            if launch.card is not None:
                inherited["network"] = ours.enter_context(launch.card).fileno()
            if launch.with_tpm:
                process, control = tpm.start(self.folder, launch.environment)
                self._processes.append(process)
                inherited["tpm"] = ours.enter_context(control).fileno()
            errors = ours.enter_context((self.folder / ERRORS).open("wb"))
            self._processes.append(
                subprocess.Popen(
                    launch.argv(Channels(**inherited)),
                    env=launch.environment,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    pass_fds=list(inherited.values()),
                    start_new_session=True,
                )
            )

    def _explained(self, error: MachineError) -> MachineError:
        said = self.complaint()
        return MachineError(f"{error.message}\n{said}".rstrip(), hint=error.hint, machine=self.name)

    def channel(self, name: str) -> socket.socket:
        """A connection to a port, owned by the caller from now on: the one made at the start, or a new one."""
        return self._sockets.pop(name, None) or connect(self.folder, name)

    def complaint(self) -> str:
        """What QEMU wrote on its standard error, its last 2,000 characters."""
        path = self.folder / ERRORS
        return path.read_text("utf-8", "replace")[-2000:].strip() if path.exists() else ""

    def reset_log(self) -> str:
        """QEMU's own log of processor resets, its last 64 KiB; names a triple fault."""
        path = self.folder / LOG
        if not path.exists():
            return ""
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 65536))
            return log.read().decode("utf-8", "replace")

    def wait(self, timeout: float) -> bool:
        """Wait until the process has ended; False when ``timeout`` seconds were not enough."""
        try:
            self._processes[-1].wait(timeout)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            return False
        return True

    def kill(self) -> None:
        """End the processes at once and close every channel; idempotent."""
        for process in reversed(self._processes):
            if _runs(process):
                process.kill()
        for process in self._processes:
            process.wait(END)
        self._hang_up()

    def leave(self) -> None:
        """Close every channel and let the processes run on, whoever ends; idempotent."""
        _left.extend(process for process in self._processes if isinstance(process, subprocess.Popen))
        self._processes = []
        self._hang_up()

    def free(self, channel: str) -> None:
        """Hang up on a port that was not asked for, so that another process may have it."""
        if channel in self._sockets:
            self._sockets.pop(channel).close()

    def _hang_up(self) -> None:
        while self._sockets:
            self._sockets.popitem()[1].close()
        self.monitor.close()


_left: list[subprocess.Popen[bytes]] = []
"""Processes that run on: Python complains of one that it forgets before it has ended."""


def _runs(process: Process) -> bool:
    return process.poll() is None if isinstance(process, subprocess.Popen) else process.is_running()
