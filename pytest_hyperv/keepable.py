"""The part of a test's machine that outlives its test, when it is kept."""

from __future__ import annotations

from pytest_hyperv.backends.base import Machine

ASKED = "asked for by the test"


class Keepable:
    """What a VirtualMachine has of it.

    ``kept`` is why it will be kept when its test ends, "" when it will not; ``way_in`` what to type to enter it then.
    """

    _machine: Machine
    kept: str = ""
    way_in: str = ""

    def keep(self, reason: str = ASKED) -> None:
        """Keep the machine once its test, or the last of the tests that share it, is over: paused, to be entered.

        It goes after ``--hyperv-keep-for``, or by ``pytest-hyperv gc --kept``.
        """
        self.kept = self.kept or reason

    def let_in(self) -> None:
        """Let people into the guest while the test still has it, as happens by itself when a debugger opens."""
        self._machine.let_in()
