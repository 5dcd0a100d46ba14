"""The TPM 2.0 of one machine: swtpm as a child process on a socket pair, its state in the machine's folder.

The pair is the whole life line: when QEMU's end closes, swtpm ends by itself (``--terminate``).
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from pytest_hyperv.backends.qemu.tools import SWTPM, program

STATE = "tpm"
LOG = "swtpm.log"


def start(folder: Path, environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start swtpm for the machine in ``folder``; returns the process and QEMU's end of its control channel.

    Its state folder is made when absent, and may be empty: a saved machine brings the TPM's state in its own.
    """
    state = folder / STATE
    state.mkdir(mode=0o700, exist_ok=True)
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [
                *(program(SWTPM), "socket", "--tpm2", "--terminate"),
                *("--tpmstate", f"dir={state.resolve()},mode=0600"),
                *("--ctrl", f"type=unixio,clientfd={theirs.fileno()}"),
                *("--log", f"file={(folder / LOG).resolve()},level=1"),
            ],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    return process, ours
