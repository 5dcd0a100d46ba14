"""A session in a process of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import tenacity

from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.client import OPEN_TIMEOUT, Session
from pytest_hyperv.psrp.pipes import ProcessPipe

WINDOWS_POWERSHELL = ("powershell.exe", "-NoLogo", "-NoProfile", "-s")
"""Windows PowerShell 5.1, which has the Hyper-V module."""

PWSH = ("pwsh", "-NoLogo", "-NoProfile", "-s")
"""PowerShell 7."""

ATTEMPTS = 3


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

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(SessionLost),
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=2.0),
        reraise=True,
    )
    return retrying(attempt)
