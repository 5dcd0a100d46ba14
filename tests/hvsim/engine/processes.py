"""Which processes of a host run: each has a file FOLDER/processes/PID; a restart of the host ends them all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from tests.hvsim.host.faults import boot_of
from tests.hvsim.host.world import SimHost

FOLDER = "processes"


class Registration:
    """This process among those of its host; `end` takes it off the list."""

    def __init__(self, host: SimHost) -> None:
        self._host = host
        self._boot = boot_of(host)
        self._file = host.folder / FOLDER / str(os.getpid())
        self._file.parent.mkdir(exist_ok=True)
        self._file.write_text(str(psutil.Process().create_time()), encoding="utf-8")

    def is_dead(self) -> bool:
        """Whether the host was restarted since this process began."""
        return boot_of(self._host) != self._boot

    def end_others(self) -> None:
        """When the host was restarted: end every other process of it. When only this process dies: nothing."""
        if self.is_dead():
            for file in self._file.parent.iterdir():
                if file != self._file:
                    _end(file)
        self.end()

    def end(self) -> None:
        """This process is gone."""
        self._file.unlink(missing_ok=True)


def running(folder: Path) -> list[int]:
    """The processes of the host in `folder` that are alive; those that ended without a word are taken off the list."""
    alive = []
    for file in sorted((folder / FOLDER).glob("[0-9]*")):
        if _is_alive(file):
            alive.append(int(file.name))
        else:
            file.unlink(missing_ok=True)
    return alive


def _is_alive(file: Path) -> bool:
    try:
        return psutil.Process(int(file.name)).create_time() == float(file.read_text(encoding="utf-8"))
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


def _end(file: Path) -> None:
    if _is_alive(file):
        os.kill(int(file.name), signal.SIGKILL)
    file.unlink(missing_ok=True)
