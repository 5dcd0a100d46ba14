"""PowerShell in a guest of this backend: ``pwsh -s`` on a virtio-serial port, its session kept in saved states.

The port's other end is a socket on the host, so a session needs no network. A session that was open when a machine was
saved is open in every clone, where it is adopted by its GUID and nothing is started.
"""

from __future__ import annotations

import socket
import uuid

from pytest_hyperv.backends.qemu.command_line import POWERSHELL_PORT
from pytest_hyperv.errors import GuestError
from pytest_hyperv.guest import GuestSession
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.pipes import StreamPipe

UNIT = "pytest-hyperv-powershell"
NO_POWERSHELL = 3
START_WITHIN = 60.0
START = """
port=/dev/virtio-ports/$1 unit=$2 log=/run/$2.log
command -v pwsh > /dev/null || exit 3
serve='exec pwsh -NoLogo -NoProfile -s <>"$0" >&0 2>"$1"'
if [ -d /run/systemd/system ] && command -v systemd-run > /dev/null; then
  systemctl stop "$unit" 2> /dev/null
  exec systemd-run --quiet --collect --unit="$unit" -E HOME=/root -p OOMPolicy=continue sh -c "$serve" "$port" "$log"
fi
cd / && HOME=/root setsid sh -c "$serve" "$port" "$log" < /dev/null > /dev/null 2>&1 &
"""
"""A service of its own, where systemd rules: what a session starts must not be stopped with that session."""


def open_powershell(guest: GuestSession, connected: socket.socket, name: str, timeout: float) -> Session:
    """Start PowerShell in the guest and open a session over ``connected``, the host's end of its port.

    The first start takes half a minute under emulation. Raises GuestError when the guest has no ``pwsh``, SessionLost
    when it does not answer in ``timeout`` seconds.
    """
    started = guest.run(["sh", "-c", START, "sh", POWERSHELL_PORT, UNIT], timeout=START_WITHIN)
    if started.returncode == NO_POWERSHELL:
        connected.close()
        raise GuestError(
            f"{name} has no pwsh in its PATH",
            hint="use an image that has PowerShell, or vm.run() and vm.sh().",
        )
    started.check()
    return Session.open(StreamPipe(connected, name=f"PowerShell of {name}"), timeout=timeout, host=name)


def adopt_powershell(connected: socket.socket, name: str, identity: str) -> Session:
    """Take over the session that was open when the machine was saved, known by its GUID."""
    return Session.adopt(StreamPipe(connected, name=f"PowerShell of {name}"), uuid.UUID(identity), host=name)
