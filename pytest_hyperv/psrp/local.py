"""A session in a process of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from pytest_hyperv.psrp.client import OPEN_TIMEOUT, Session
from pytest_hyperv.psrp.pipes import ProcessPipe
from pytest_hyperv.psrp.starting import ATTEMPTS, WINDOWS_POWERSHELL, first_that_opens

PWSH = ("pwsh", "-NoLogo", "-NoProfile", "-s")
"""PowerShell 7."""


def open_local(
    argv: Sequence[str] = WINDOWS_POWERSHELL,
    *,
    timeout: float = OPEN_TIMEOUT,
    attempts: int = ATTEMPTS,
    max_runspaces: int = 1,
    name: str = "",
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> Session:
    """Start ``argv`` and open a session in it, each attempt within ``timeout`` seconds.

    Raises SessionLost of the last attempt. powershell.exe has been seen dying at its start; nothing has run until
    the session is open, so it is tried again.
    """

    def attempt() -> Session:
        return Session.open(
            ProcessPipe(argv, name=name, env=env, cwd=cwd), timeout=timeout, max_runspaces=max_runspaces
        )

    return first_that_opens(attempt, attempts)
