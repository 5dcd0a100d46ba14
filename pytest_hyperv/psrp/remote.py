"""A session in a process of another machine, through its WinRM service."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_hyperv.psrp.client import OPEN_TIMEOUT, Session
from pytest_hyperv.psrp.starting import ATTEMPTS, WINDOWS_POWERSHELL, first_that_opens
from pytest_hyperv.psrp.winrm_target import WinRMTarget
from pytest_hyperv.psrp.winrs import open_winrs


def open_remote(
    target: WinRMTarget,
    command: Sequence[str] = WINDOWS_POWERSHELL,
    *,
    timeout: float = OPEN_TIMEOUT,
    attempts: int = ATTEMPTS,
    max_runspaces: int = 1,
) -> Session:
    """Start ``command`` on the target and open a session in it, each step of an attempt within ``timeout`` seconds.

    Raises SessionLost of the last attempt, and what :func:`~pytest_hyperv.psrp.winrs.open_winrs` raises of the first.
    """

    def attempt() -> Session:
        pipe = open_winrs(target, command, timeout=timeout)
        return Session.open(pipe, timeout=timeout, max_runspaces=max_runspaces, host=target.host, ahead=True)

    return first_that_opens(attempt, attempts)
