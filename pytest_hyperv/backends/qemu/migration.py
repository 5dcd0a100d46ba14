"""Move a machine's running state between a QEMU process and a file or another process.

Facts: QEMU's migration capability ``x-ignore-shared`` leaves memory that is a shared file out of the stream, so what is
written is the devices' state alone, a few MB whatever the machine's size.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from pytest_hyperv.backends.qemu.qmp import Monitor
from pytest_hyperv.errors import MachineError

TIMEOUT = 300.0
"""Seconds one transfer may take; memory that was touched travels at over 0.5 GB/s on a small machine."""
UNLIMITED = 1 << 40
PACE = 0.002


def receive_file(monitor: Monitor, path: Path) -> None:
    """Load the devices' state from ``path`` into a process that was started with ``-incoming defer``."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _incoming(monitor, fd, ignore_shared=True)
    finally:
        os.close(fd)
    _wait(monitor, "load the saved state")


def send_file(monitor: Monitor, path: Path) -> None:
    """Write the devices' state of a stopped machine, whose memory is a shared file, to ``path``."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _outgoing(monitor, fd, ignore_shared=True)
        _wait(monitor, "save its state")
        os.fsync(fd)
    finally:
        os.close(fd)


def transfer(source: Monitor, target: Monitor) -> None:
    """Send everything, memory included, from a stopped machine into a process started with ``-incoming defer``."""
    sending, receiving = socket.socketpair()
    with sending, receiving:
        _incoming(target, receiving.fileno(), ignore_shared=False)
        _outgoing(source, sending.fileno(), ignore_shared=False)
    _wait(source, "send its memory")
    _wait(target, "take the memory sent to it")


def _incoming(monitor: Monitor, fd: int, *, ignore_shared: bool) -> None:
    _prepare(monitor, ignore_shared)
    monitor.pass_file(fd, "state")
    monitor.execute("migrate-incoming", uri="fd:state")


def _outgoing(monitor: Monitor, fd: int, *, ignore_shared: bool) -> None:
    _prepare(monitor, ignore_shared)
    monitor.pass_file(fd, "state")
    monitor.execute("migrate", uri="fd:state")


def _prepare(monitor: Monitor, ignore_shared: bool) -> None:
    capability = {"capability": "x-ignore-shared", "state": ignore_shared}
    monitor.execute("migrate-set-capabilities", capabilities=[capability])
    monitor.execute("migrate-set-parameters", max_bandwidth=UNLIMITED)


def _wait(monitor: Monitor, what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while True:
        answer = monitor.execute("query-migrate")
        status = answer.get("status")
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            raise MachineError(f"QEMU could not {what}: {answer.get('error-desc', status)}")
        if time.monotonic() > deadline:
            raise MachineError(f"QEMU did not {what} in {TIMEOUT:.0f} s; it was last {status or 'idle'}")
        time.sleep(PACE)
