"""PowerShell in a guest, as a test uses it: scripts with arguments, and cmdlets as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_hyperv.backends.base import Machine
from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.calls import Command, Runnable, Script, Select, Statement
from pytest_hyperv.psrp.result import PowerShellResult


class PowerShell:
    """The PowerShell session of one machine. ``timeout`` is the seconds a call may take when it says nothing."""

    def __init__(self, machine: Machine, timeout: float) -> None:
        self._machine, self._timeout = machine, timeout

    def ps(self, script: str, *args: Any, timeout: float | None = None, **params: Any) -> PowerShellResult:
        """Run a script; its arguments travel as values, by position and by name. Errors are in the result.

        Raises CommandTimeout after stopping the script, SessionLost, and GuestCrashed when the guest died of it.
        """
        return self.run(Script(script, *args, **params).in_local_scope(), timeout=timeout)

    def call(self, name: str, /, *args: Any, **params: Any) -> PowerShellCall:
        """A cmdlet with parameters, run when its result is asked for: ``call("Get-Service", Name="x").one``."""
        return PowerShellCall(self, Statement((Command(name, *args, **params),)))

    def run(self, what: Runnable, *, timeout: float | None = None) -> PowerShellResult:
        """Run a command, a pipeline or several statements of ``psrp.calls``. Raises as ``ps`` does."""
        try:
            return self._machine.powershell.run(what, timeout=timeout or self._timeout)
        except SessionLost as lost:
            why = self._machine.why(lost)
            if why is lost:
                raise
            raise why from lost


@dataclass(frozen=True)
class PowerShellCall:
    """A pipeline of cmdlets that has not run yet. Each of ``run``, ``one`` and ``all`` runs it once."""

    session: PowerShell
    pipeline: Statement

    def pipe(self, name: str, /, *args: Any, **params: Any) -> PowerShellCall:
        """The same pipeline with another cmdlet at its end."""
        return PowerShellCall(self.session, self.pipeline | Command(name, *args, **params))

    def select(self, *properties: str) -> PowerShellCall:
        """Only these properties travel. One that an object does not have comes as None."""
        return PowerShellCall(self.session, self.pipeline | Select(*properties))

    def run(self, *, timeout: float | None = None) -> PowerShellResult:
        """All streams of the pipeline."""
        return self.session.run(self.pipeline, timeout=timeout)

    @property
    def one(self) -> Any:
        """The only object that comes out. Raises CommandFailed when there is an error, none, or more than one."""
        return self.run().check().one

    @property
    def all(self) -> list[Any]:
        """Everything that comes out. Raises CommandFailed when there is an error."""
        return self.run().check().all
