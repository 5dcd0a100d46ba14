"""Programs that run in the guest: known by number and name, kept in memory, lost with it.

A program that a session started has an owner, the PowerShell process of the host and the life it began in, and is gone
with either. One that was started to run on by itself has none, and ends when its time is over.
"""

from __future__ import annotations

import ntpath
import os
from typing import Any

import psutil

from tests.hvsim.guest.system import GuestSystem, Opened

_SYSTEM = (
    (0, "System Idle Process"),
    (4, "System"),
    (612, "csrss.exe"),
    (688, "services.exe"),
    (704, "lsass.exe"),
    (1024, "svchost.exe"),
)
"""What always runs."""
FIRST_PID = 3000
PIDS = 500


def add_process(guest: Opened, path: str, *, lasts: float | None = None) -> int:
    """Note a program that runs: its process id. With `lasts` seconds it has no owner and ends by itself."""
    running = _running(guest)
    pid = max([FIRST_PID + 4 * int(guest.world.draw() * PIDS), *(entry["pid"] for entry in running)]) + 4
    entry: dict[str, Any] = {"pid": pid, "image": ntpath.basename(path)}
    if lasts is None:
        entry |= {"owner": os.getpid(), "life": guest.vm.life}
    else:
        entry["until"] = _uptime(guest) + lasts
    guest.memory["processes"] = [*running, entry]
    return int(pid)


def processes(guest: Opened) -> list[tuple[int, str]]:
    """Process id and image name of everything that runs."""
    return [*_SYSTEM, *((int(entry["pid"]), str(entry["image"])) for entry in _running(guest))]


def end_processes(guest: Opened, *, image: str | None = None, pid: int | None = None) -> list[int]:
    """End what has the image name or the id: the ids of what was ended. The system's own processes are not."""
    running = _running(guest)
    gone = [
        entry for entry in running
        if entry["pid"] == pid or (image is not None and entry["image"].casefold() == image.casefold())
    ]  # fmt: skip
    guest.memory["processes"] = [entry for entry in running if entry not in gone]
    return [int(entry["pid"]) for entry in gone]


def runs(system: GuestSystem, pid: int) -> bool:
    """Whether a program that was noted still runs, and was not ended by another."""
    with system.open() as guest:
        return any(entry["pid"] == pid for entry in _running(guest))


def _running(guest: Opened) -> list[dict[str, Any]]:
    return [entry for entry in guest.memory.get("processes", []) if _lives(guest, entry)]


def _lives(guest: Opened, entry: dict[str, Any]) -> bool:
    if "until" in entry:
        return bool(entry["until"] > _uptime(guest))
    return bool(entry["life"] == guest.vm.life) and psutil.pid_exists(entry["owner"])


def _uptime(guest: Opened) -> float:
    """Seconds the guest has run; saving and restoring the machine makes no gap in them."""
    return guest.world.now - guest.vm.booted_at
