"""The way into the guest of one machine, whatever it is made of; and the one made of PowerShell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from pytest_hyperv.backends.base import PowerShellSession
from pytest_hyperv.backends.hyperv.guest_session import CopyFile, GuestPowerShell, PowerShellGuest
from pytest_hyperv.backends.hyperv.lines import GuestLines
from pytest_hyperv.backends.hyperv.opening import Opener
from pytest_hyperv.errors import SessionLost
from pytest_hyperv.guest import GuestSession


@dataclass(frozen=True)
class MachineView:
    """What a way into a guest may know of its machine.

    ``copy_file`` copies a file of this computer into the guest through Hyper-V itself, None when this is not the host.
    ``folder`` is the machine's own on this computer, ``address`` asks for the guest's network address ("" until it has
    told one), ``watch`` raises when the machine does not live, ``why`` turns the end of a session into what happened.
    """

    ident: UUID
    name: str
    folder: Path
    address: Callable[[], str]
    watch: Callable[[], None]
    why: Callable[[SessionLost], Exception]
    copy_file: CopyFile | None = None


class GuestAccess(Protocol):
    """Sessions into one guest, which end with each of its lives and are opened again in the next one."""

    @property
    def session(self) -> GuestSession:
        """Commands and files; opened when the first call needs it."""
        ...

    @property
    def powershell(self) -> PowerShellSession:
        """PowerShell. Raises GuestError when the guest has none."""
        ...

    def open(self, timeout: float, *, booting: bool) -> None:
        """Wait until the guest takes commands. Raises BootTimeout, AccessDenied, MachineError, GuestCrashed."""
        ...

    def drop(self) -> None:
        """End what is open; idempotent."""
        ...

    def close(self) -> None:
        """End everything, for good; idempotent."""
        ...


AccessFactory = Callable[[MachineView], GuestAccess]


class PowerShellAccess:
    """By PowerShell: see GuestAccess."""

    def __init__(self, machine: MachineView, opener: Opener) -> None:
        self._lines = GuestLines(opener, machine.name, machine.watch)
        self._guest = PowerShellGuest(self._lines, machine.why, machine.copy_file, watch=machine.watch)
        self.open, self.drop, self.close = self._lines.open, self._lines.drop, self._lines.close

    @property
    def session(self) -> GuestSession:
        """Commands and files over the machine's line."""
        return self._guest

    @property
    def powershell(self) -> PowerShellSession:
        """PowerShell over the same line."""
        return GuestPowerShell(self._guest)
