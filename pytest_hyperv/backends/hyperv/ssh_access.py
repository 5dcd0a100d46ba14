"""The way into a Linux guest that SSH leads into: its address as Hyper-V knows it, and a session over its network."""

from __future__ import annotations

import threading
import time

from pytest_hyperv.backends.base import PowerShellSession
from pytest_hyperv.backends.hyperv.guest_access import MachineView
from pytest_hyperv.backends.hyperv.opening import NotYet
from pytest_hyperv.backends.hyperv.patience import REOPEN, patiently
from pytest_hyperv.backends.hyperv.ssh_client import SshLogin, SshTarget
from pytest_hyperv.backends.hyperv.ssh_guest import SshGuest
from pytest_hyperv.errors import CommandTimeout, GuestError, SessionLost
from pytest_hyperv.guest import GuestSession

KNOWN_HOSTS = "known_hosts"
HINT = (
    "the guest needs a network with DHCP that this machine reaches, an SSH server, and Hyper-V's key-value daemon, "
    "which tells its address (Debian: hyperv-daemons)."
)


class SshAccess:
    """See ``guest_access.GuestAccess``. The guest's address is asked for once in each of its lives."""

    def __init__(self, machine: MachineView, login: SshLogin, *, port: int = 22) -> None:
        self._machine, self._login, self._port = machine, login, port
        self._guest = SshGuest(self, watch=machine.watch, why=machine.why)
        self._opening = threading.Lock()
        self._target: SshTarget | None = None
        self._last = ""

    @property
    def session(self) -> GuestSession:
        """Commands and files, each over a connection of its own."""
        return self._guest

    @property
    def powershell(self) -> PowerShellSession:
        """Raises GuestError: there is none."""
        raise GuestError(
            f"the guest of {self._machine.name} is reached by SSH and has no PowerShell session",
            hint="use vm.run and vm.sh, or an image with --road psdirect or winrm.",
        )

    def open(self, timeout: float, *, booting: bool) -> None:
        """Wait until the guest has told an address and runs a program there."""
        self.drop()
        self._find(timeout, booting=booting)

    def drop(self) -> None:
        """End every connection and forget the address."""
        self._guest.close()
        self.forget()

    def close(self) -> None:
        """The same: nothing else is kept."""
        self.drop()

    def target(self) -> SshTarget:
        """See ``ssh_guest.Reach``."""
        return self._target or self._find(REOPEN, booting=False)

    def forget(self) -> None:
        """See ``ssh_guest.Reach``."""
        self._target = None

    def _find(self, timeout: float, *, booting: bool) -> SshTarget:
        name, watch = self._machine.name, self._machine.watch
        with self._opening:
            found = self._target or patiently(
                self._tried, watch=watch, name=name, timeout=timeout, booting=booting, hint=HINT
            )
            self._target = found
        return found

    def _tried(self, timeout: float) -> SshTarget:
        """One try. What a restored guest told before may still be unknown to its host."""
        began = time.monotonic()
        self._last = self._machine.address() or self._last
        if not self._last:
            raise NotYet(f"{self._machine.name} has told no network address yet")
        machine, login = self._machine, self._login
        target = SshTarget(
            self._last, login.user, login.key, machine.folder / KNOWN_HOSTS, machine.name, port=self._port
        )
        try:
            self._guest.greet(target, max(1.0, timeout - (time.monotonic() - began)))
        except (SessionLost, CommandTimeout) as error:
            raise NotYet(error.message) from error
        return target
