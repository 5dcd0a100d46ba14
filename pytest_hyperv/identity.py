"""Which process is meant, for as long as the disk remembers: a number alone is reused by the next process."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

LOADED_WITHIN = 5.0
"""Seconds that loading a program takes at most."""


@dataclass(frozen=True)
class ProcessIdentity:
    """A process by its number and the moment it started, in words that a change of the clock does not alter."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The identity of a running process; None when there is none of that number."""
        started = _started(pid)
        return None if started is None else cls(pid, started)

    @classmethod
    def own(cls) -> ProcessIdentity:
        """This process."""
        found = cls.of(os.getpid())
        assert found is not None
        return found

    @property
    def word(self) -> str:
        """It in a word that fits a file's name: its number, and a digest of when it started."""
        return f"{self.pid}-{hashlib.sha256(self.started.encode()).hexdigest()[:12]}"

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return _started(self.pid) == self.started


def _started(pid: int) -> str | None:
    if sys.platform == "linux":
        return _started_linux(pid)
    try:
        return str(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def _started_linux(pid: int) -> str | None:
    """The boot's id and the start time in clock ticks since that boot (proc(5), field 22 of stat); a zombie is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{boot}:{fields[19]}"


def processes_loading() -> list[psutil.Process]:
    """The processes of this user whose program is being loaded just now: their environment cannot be read yet.

    While execve(2) replaces a program, ``/proc/PID/environ`` is empty. A process that has none at all looks the same,
    so only those are told that began in the last `LOADED_WITHIN` seconds. None on other systems than Linux.
    """
    if sys.platform != "linux":
        return []
    found = []
    for process in psutil.process_iter():
        try:
            if not process.environ() and process.exe() and _age(process.pid) < LOADED_WITHIN:
                found.append(process)
        except (psutil.Error, OSError, ValueError, IndexError):
            continue
    return found


def _age(pid: int) -> float:
    """Seconds since a process of Linux was started, whatever the clock says."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def processes_marked(name: str, value: str) -> list[psutil.Process]:
    """The running processes of this user whose environment holds ``name=value``."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == value:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found
