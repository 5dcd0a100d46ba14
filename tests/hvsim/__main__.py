"""Stands in for powershell.exe: ``python -m tests.hvsim --host FOLDER -NoLogo -NoProfile -s``.

Switches of powershell.exe are ignored. The exit code is powershell.exe's: 0 after the session was closed, 160 when its
input broke off or was broken.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from tests.hvsim.engine.assembly import assemble
from tests.hvsim.engine.invocation import ProcessState
from tests.hvsim.engine.processes import Registration
from tests.hvsim.engine.session import Session, die
from tests.hvsim.host.faults import ProcessDies, at_process_start
from tests.hvsim.host.world import SimHost
from tests.psrp.peer.wire import Wire

EXIT_DEFECT = 70


def main(arguments: list[str]) -> int:
    """Serve one session of the host that the arguments name."""
    host = SimHost(Path(arguments[arguments.index("--host") + 1]))
    try:
        at_process_start(host)
    except ProcessDies as death:
        die(str(death), death.exit_code)
    registration = Registration(host)
    process = ProcessState()
    try:
        return Session(Wire(sys.stdin.buffer, _write), assemble(host, process), registration).serve()
    finally:
        for end in reversed(process.at_end):
            end()
        registration.end()


def _write(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(sys.stdout.fileno(), rest) :]


def _die_of(failure: threading.ExceptHookArgs) -> None:
    threading.__excepthook__(failure)
    sys.stderr.flush()
    os._exit(EXIT_DEFECT)


if __name__ == "__main__":
    threading.excepthook = _die_of
    # Threads of pipelines that still run must not keep the process.
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)
