"""PowerShell in a guest, as a test uses it: scripts with arguments, and cmdlets as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_hyperv.backends.base import Machine
from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.calls import Call, Command, Runnable, Script, Select, Stage, Statement
from pytest_hyperv.psrp.result import PowerShellResult
from pytest_hyperv.transcript import Transcript

TOLD = 100
"""How many objects of one stream the transcript takes."""
VALUE = 200
"""How many characters of an argument."""


class PowerShell:
    """The PowerShell session of one machine. ``timeout`` is the seconds a call may take when it says nothing."""

    def __init__(self, machine: Machine, timeout: float, transcript: Transcript) -> None:
        self._machine, self._timeout, self._transcript = machine, timeout, transcript

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
        call = Call(what)
        named = {name: value for name, value in call.parameters if name}
        with self._transcript.doing("powershell", _told(call), named) as entry:
            try:
                result = self._machine.powershell.run(what, timeout=timeout or self._timeout)
            except SessionLost as lost:
                why = self._machine.why(lost)
                if why is lost:
                    raise
                raise why from lost
            entry.end = f"exit code {result.exit_code}{', with errors' if result.had_errors else ''}"
            entry.take(1, _text(result.output))
            entry.take(2, _text(result.errors))
        return result


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


def _told(call: Call) -> str:
    return "; ".join(" | ".join(map(_stage, statement.stages)) for statement in call.statements)


def _stage(stage: Stage) -> str:
    values = [f"-{name} {_value(value)}" if name else _value(value) for name, value in stage.parameters]
    return " ".join([stage.name if isinstance(stage, Command) else f"{{ {stage.text} }}", *values])


def _value(value: object) -> str:
    return repr(value)[:VALUE]


def _text(objects: Sequence[object]) -> bytes:
    """The last objects of a stream, one a line."""
    return "".join(f"{each}\n" for each in objects[-TOLD:]).encode("utf-8", "replace")
