"""The processes of a host: each is known to the world while it lives; a restart of the host ends them all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from tests.hvsim.host.faults import boot_of
from tests.hvsim.host.inventory import forget_process, register_process
from tests.hvsim.host.world import SimHost

FOLDER = "processes"


class Registration:
    """This process among those of its host: in the world, and as FOLDER/processes/PID, which outlives a restart."""

    def __init__(self, host: SimHost) -> None:
        self._host = host
        self._boot = register_process(host, os.getpid())
        self._file = host.folder / FOLDER / str(os.getpid())
        self._file.parent.mkdir(exist_ok=True)
        self._file.write_text(repr(psutil.Process().create_time()), encoding="utf-8")

    def is_dead(self) -> bool:
        """Whether the host was restarted since this process began."""
        return boot_of(self._host) != self._boot

    def end_all(self) -> None:
        """This process dies, and if the host was restarted every other process of it too."""
        if self.is_dead():
            for file in self._file.parent.iterdir():
                if file != self._file:
                    _kill(file)
        self.end()

    def end(self) -> None:
        """This process is gone."""
        forget_process(self._host, os.getpid())
        self._file.unlink(missing_ok=True)


def _kill(file: Path) -> None:
    try:
        if psutil.Process(int(file.name)).create_time() == float(file.read_text(encoding="utf-8")):
            os.kill(int(file.name), signal.SIGKILL)
    except (psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError):
        pass
    file.unlink(missing_ok=True)
