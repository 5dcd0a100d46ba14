"""The lines of one machine: opened one at a time, again and again while the guest boots, and dropped with its life."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

from pytest_hyperv.backends.hyperv.line import Line
from pytest_hyperv.backends.hyperv.opening import NotYet, Opener
from pytest_hyperv.errors import AccessDenied, BootTimeout, HypervError

Result = TypeVar("Result")

ONE_TRY = 60.0
"""Seconds one opening may take before it counts as hung."""
REOPEN = 300.0
"""Seconds a guest that reboots may take until it takes a session again."""
CREDENTIAL_GRACE = 60.0
"""Seconds for which a booting guest may refuse a right password: its accounts are not there yet."""


class GuestLines:
    """See ``guest_session.Lines``. Openings in parallel are known to crash (PowerShell issue 15098), so there are none.

    ``watch`` raises when the machine has died, so that nobody waits for its guest.
    """

    def __init__(self, opener: Opener, name: str, watch: Callable[[], None]) -> None:
        self._opener, self._name, self._watch = opener, name, watch
        self._opening = threading.Lock()
        self._main: Line | None = None
        self._others: list[Line] = []

    def main(self) -> Line:
        """The machine's own line. Raises BootTimeout, AccessDenied, MachineError."""
        if self._main is None or self._main.ended:
            self.open(REOPEN, booting=False)
        assert self._main is not None
        return self._main

    def another(self) -> Line:
        """One more line, for its caller to close."""
        line = self._opened(REOPEN, booting=False)
        self._others = [*(other for other in self._others if not other.ended), line]
        return line

    def open(self, timeout: float, *, booting: bool) -> None:
        """Open the machine's own line anew; ``booting`` bears a refused credential for a while."""
        self.drop()
        self._main = self._opened(timeout, booting=booting)

    def drop(self) -> None:
        """End every line; idempotent."""
        lines = [line for line in (self._main, *self._others) if line is not None]
        self._main, self._others = None, []
        for line in lines:
            line.close()

    def close(self) -> None:
        """End every line and every process behind them; idempotent."""
        self.drop()
        self._opener.close()

    def _opened(self, timeout: float, *, booting: bool) -> Line:
        began = time.monotonic()

        def attempt() -> Line:
            self._watch()
            left = began + timeout - time.monotonic()
            try:
                return self._opener.open(max(1.0, min(ONE_TRY, left)))
            except AccessDenied as refused:
                if booting and time.monotonic() < began + CREDENTIAL_GRACE:
                    raise NotYet(refused.message) from refused
                raise

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(NotYet),
            stop=tenacity.stop_after_delay(timeout),
            wait=tenacity.wait_exponential(multiplier=0.1, max=2.0),
            reraise=True,
        )
        with self._opening:
            try:
                return retrying(attempt)
            except NotYet as last:
                raise _too_late(self._name, timeout, last) from last


def _too_late(name: str, timeout: float, last: HypervError) -> BootTimeout:
    return BootTimeout(
        f"{name} took no session in {timeout:.0f} s; the last try: {last.message}",
        hint="PowerShell Direct needs Windows 10, Server 2016 or newer in the guest, and an account with a password.",
        machine=name,
    )
