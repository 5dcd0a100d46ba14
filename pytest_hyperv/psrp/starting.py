"""Starting PowerShell again when it died at its start."""

from __future__ import annotations

from collections.abc import Callable

import tenacity

from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.client import Session

ATTEMPTS = 3
WINDOWS_POWERSHELL = ("powershell.exe", "-NoLogo", "-NoProfile", "-s")
"""Windows PowerShell 5.1, which has the Hyper-V module, as a server of PSRP on its stdin and stdout."""


def first_that_opens(attempt: Callable[[], Session], attempts: int) -> Session:
    """The session of the first attempt that does not end in SessionLost; raises that of the last one.

    powershell.exe has been seen dying at its start. Nothing has run until the session is open, so trying again is safe.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(SessionLost),
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=2.0),
        reraise=True,
    )
    return retrying(attempt)
