"""The lines of one machine: opened one at a time, again and again while the guest boots, and dropped with its life."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pytest_hyperv.backends.hyperv.line import Line
from pytest_hyperv.backends.hyperv.opening import Opener
from pytest_hyperv.backends.hyperv.patience import REOPEN, patiently

HINT = "PowerShell Direct needs Windows 10, Server 2016 or newer in the guest, and an account with a password."


class GuestLines:
    """See ``guest_session.Lines``. Openings in parallel are known to crash (PowerShell issue 15098), so there are none.

    ``watch`` raises when the machine has died, so that nobody waits for its guest.
    """

    def __init__(self, opener: Opener, name: str, watch: Callable[[], None]) -> None:
        self._opener, self._name, self._watch = opener, name, watch
        self._opening = threading.RLock()
        self._main: Line | None = None
        self._others: list[Line] = []

    def main(self) -> Line:
        """The machine's own line. Raises BootTimeout, AccessDenied, MachineError."""
        with self._opening:
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
        with self._opening:
            return patiently(
                self._opener.open, watch=self._watch, name=self._name, timeout=timeout, booting=booting, hint=HINT
            )
