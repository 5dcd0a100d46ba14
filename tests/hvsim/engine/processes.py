"""The processes of a host: each is known to the world while it lives; a restart of the host ends them all."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import psutil

from tests.hvsim.host.inventory import forget_process, register_process
from tests.hvsim.host.world import STATE_FILE, SimHost

FOLDER = "processes"
_BOOTS = re.compile(rb'"boots":(\d+)')
"""Where the world's file says how often the host has booted: read without its lock at every pipeline, because the file
is only ever replaced as a whole.
"""


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
        found = _BOOTS.search((self._host.folder / STATE_FILE).read_bytes())
        return found is not None and int(found[1]) != self._boot

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
