"""PowerShell in a guest of this backend: ``pwsh -s`` on a virtio-serial port, its session kept in saved states.

The port's other end is a socket on the host, so a session needs no network. A session that was open when a machine was
saved is open in every clone, where it is adopted by its GUID and nothing is started.
"""

from __future__ import annotations

import contextlib
import socket
import uuid
from collections.abc import Callable

from pytest_hyperv.backends.qemu.command_line import POWERSHELL_PORT
from pytest_hyperv.backends.qemu.unanswered import Unanswered
from pytest_hyperv.errors import GuestError, SessionLost
from pytest_hyperv.guest import GuestSession
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.pipes import StreamPipe

UNIT = "pytest-hyperv-powershell"
LOG = f"/run/{UNIT}.log"
"""Where the guest's PowerShell writes its standard error."""
NO_POWERSHELL = 3
START_WITHIN = 60.0
ANSWER = 20.0
"""Seconds a session that came with a saved state may take to answer on a slow, busy machine."""
QUIET_WITHIN = 2.0
"""Seconds a finished pipeline may take until the guest has let go of it; it takes 0.05 on an idle machine."""
START = """
port=/dev/virtio-ports/$1 unit=$2 log=$3
command -v pwsh > /dev/null || exit 3
serve='exec pwsh -NoLogo -NoProfile -s <>"$0" >&0 2>"$1"'
if [ -d /run/systemd/system ] && command -v systemd-run > /dev/null; then
  exec systemd-run --quiet --collect --unit="$unit" -E HOME=/root -p OOMPolicy=continue sh -c "$serve" "$port" "$log"
fi
cd / && HOME=/root setsid sh -c "$serve" "$port" "$log" < /dev/null > /dev/null 2>&1 &
"""
"""A service of its own, where systemd rules: what a session starts must not be stopped with that session."""


STOP = 'systemctl stop "$1" 2> /dev/null; true'
"""Elsewhere it ends by itself when the host hangs up."""


class GuestPowerShell:
    """The PowerShell of one life of a machine: adopted or started when it is first asked for, started anew when lost.

    ``connect`` gives the host's end of the port, ``identity`` is the GUID of the session that came with the saved
    state, or ""; ``reopened`` is told when that session does not answer and another one was opened. Calls may come from
    any thread, but ``session`` from one at a time.
    """

    def __init__(
        self, name: str, connect: Callable[[], socket.socket], identity: str, reopened: Callable[[str], None]
    ) -> None:
        self._name, self._connect, self._identity, self._reopened = name, connect, identity, reopened
        self._session: Session | None = None
        self._connected: socket.socket | None = None
        self._served = False

    @property
    def kept(self) -> str:
        """The GUID of the session that a state saved now would hold, "" when there is none to be adopted."""
        if self._session is None:
            return self._identity
        return str(self._session.id) if self._session.settle(0) else ""

    def settle(self) -> None:
        """Wait a moment until nothing travels on the port, so that the guest can be stopped between two calls."""
        if self._session is not None:
            self._session.settle(QUIET_WITHIN)

    def session(self, guest: Callable[[], GuestSession], timeout: float) -> Session:
        """The open session. Raises GuestError when the guest has no ``pwsh``, SessionLost when it does not answer.

        Unanswered when that is the second one, opened as the one that came with the saved state did not either.
        """
        if self._session is None and self._identity:
            return self._adopted(guest, timeout)
        if self._session is None or self._session.lost is not None:
            self._session = self._open(guest(), timeout)
        return self._session

    def _adopted(self, guest: Callable[[], GuestSession], timeout: float) -> Session:
        self._session = Session.adopt(self._pipe(served=True), uuid.UUID(self._identity), host=self._name)
        try:
            self._session.verify(ANSWER)
        except SessionLost as silent:
            try:
                self._session = self._open(guest(), timeout)
            except SessionLost as error:
                raise Unanswered(f"{silent.message}, and no other could be opened: {error.message}") from error
            self._reopened(f"PowerShell did not answer in {ANSWER:g} s")
        return self._session

    def port_changed(self, served: bool) -> None:
        """The guest has opened or closed its end. A closed one ends the stream, once all that came was read."""
        if self._served and not served and self._connected is not None:
            _shut(self._connected, socket.SHUT_RD)
        if not served:
            self._identity = ""
        self._served = served

    def drop(self, reason: SessionLost) -> None:
        """The guest is gone, or was reset: end the session, or its opening, and adopt nothing any more."""
        self._identity = ""
        if self._session is not None:
            self._session.drop(reason)
        if self._connected is not None:
            _shut(self._connected, socket.SHUT_RDWR)

    def start(self, guest: GuestSession) -> StreamPipe:
        """Start a PowerShell in place of the one that may be there: the pipe to it, for whoever opens a session on it.

        That pipe must be closed before ``session`` is called again. Raises GuestError when the guest has no ``pwsh``.
        """
        self.drop(SessionLost(f"another PowerShell was started in {self._name}"))
        self._session = None
        self._hang_up_for_good(guest)
        pipe = self._pipe(served=False)
        try:
            _start_powershell(guest, self._name)
        except BaseException:
            pipe.close()
            raise
        return pipe

    def _hang_up_for_good(self, guest: GuestSession) -> None:
        """Stop what serves the port, then hang up: QEMU throws away what was still under way, and nothing follows."""
        guest.run(["sh", "-c", STOP, "sh", UNIT], timeout=START_WITHIN)
        if self._connected is None:
            self._connected = self._connect()
        self._connected.close()

    def _pipe(self, *, served: bool) -> StreamPipe:
        self._served = served
        self._connected = self._connect()
        return StreamPipe(self._connected, name=f"PowerShell of {self._name}")

    def _open(self, guest: GuestSession, timeout: float) -> Session:
        pipe = self.start(guest)
        try:
            return Session.open(pipe, timeout=timeout, host=self._name)
        except SessionLost as lost:
            said = guest.run(["tail", "-c", "2000", LOG]).stdout.strip()
            raise SessionLost(f"{lost.message}\n{said}".rstrip(), hint=lost.hint) from lost


def _start_powershell(guest: GuestSession, name: str) -> None:
    """Start PowerShell on its port in the guest, where none is running; it takes half a minute under emulation.

    Raises GuestError when the guest has no ``pwsh``.
    """
    started = guest.run(["sh", "-c", START, "sh", POWERSHELL_PORT, UNIT, LOG], timeout=START_WITHIN)
    if started.returncode == NO_POWERSHELL:
        raise GuestError(
            f"{name} has no pwsh in its PATH",
            hint="use an image that has PowerShell, or vm.run() and vm.sh().",
        )
    started.check()


def _shut(connected: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # the session has closed it, or is about to
        connected.shutdown(how)
