"""Programs in a Windows guest: what is sent to run-program.ps1, and what comes back from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_hyperv.backends.hyperv.command_lines import arguments_of
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.errors import CommandFailed, CommandTimeout
from pytest_hyperv.guest import CommandResult, Output
from pytest_hyperv.psrp.calls import Script
from pytest_hyperv.psrp.dotnet import PSObject
from pytest_hyperv.psrp.result import PowerShellResult


def program_script(
    argv: Sequence[str], *, data: bytes | None, cwd: str | None, env: Mapping[str, str] | None, timeout: float
) -> Script:
    """run-program.ps1 with these values; what is absent is left out."""
    optional = {
        "WorkingDirectory": cwd,
        "Environment": dict(env) if env else None,
        "InputBytes": data if data else None,
        "TimeoutSeconds": float(timeout) if timeout else None,
    }
    given = {name: value for name, value in optional.items() if value is not None}
    return Script(text("run-program"), FileName=argv[0], Arguments=arguments_of(argv), **given)


class OutputLimit:
    """What a program wrote, up to ``limit`` bytes a stream. ``end`` is what the script said last."""

    def __init__(self, argv: Sequence[str], limit: int, on_output: Output | None) -> None:
        self._argv, self._limit, self._on_output = argv, limit, on_output
        self.streams = {1: bytearray(), 2: bytearray()}
        self.end: PSObject | None = None

    def take(self, told: Any) -> None:
        """One object of the script. Raises CommandFailed beyond the limit."""
        if not isinstance(told, PSObject):
            return
        if "Data" not in told:
            self.end = told
            return
        number, data = int(told.Stream), bytes(told.Data)
        self.streams[number] += data
        if self._on_output is not None:
            self._on_output(number, data)
        if len(self.streams[number]) > self._limit:
            raise CommandFailed(
                f"{self._argv[0]} wrote more than {self._limit} bytes on one stream and was ended",
                hint="write to a file in the guest and copy it out, or use spawn().",
            )


def outcome(
    argv: Sequence[str], seen: OutputLimit, result: PowerShellResult, duration: float, timeout: float
) -> CommandResult:
    """How the program ended. Raises CommandFailed when it never began, CommandTimeout when its time was over."""
    stdout, stderr = bytes(seen.streams[1]), bytes(seen.streams[2])
    if seen.end is None:
        reason = result.failure.message if result.failure else "the script that starts it said nothing"
        raise CommandFailed(f"{argv[0]} cannot be started in the guest: {reason}")
    if seen.end.TimedOut:
        raise CommandTimeout(
            f"`{' '.join(argv)}` did not end in {timeout:g} s and was killed",
            hint="give it a longer timeout, or find out what it waits for.",
            timeout=timeout,
            stdout=stdout,
            stderr=stderr,
        )
    return CommandResult(tuple(argv), int(seen.end.ExitCode), stdout, stderr, duration)
