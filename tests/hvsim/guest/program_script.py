"""run-program.ps1: one program of the guest, its output as it comes, its time limit in the guest's own time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.hvsim.engine.values import custom_object
from tests.hvsim.guest.events import Event, Out, Running, Start
from tests.hvsim.guest.files import absolute
from tests.hvsim.guest.identity import with_variable
from tests.hvsim.guest.launching import NotStarted
from tests.hvsim.guest.programs import launch
from tests.hvsim.guest.remote_values import ErrorRecord
from tests.hvsim.guest.shell_state import GuestShell, Terminating

PIECE = 65536
KILLED = 1
"""The exit code of a program that taskkill ended."""


def run_program(shell: GuestShell, values: dict[str, Any]) -> Iterator[object]:
    """Objects with ``Stream`` and ``Data``, and last ``ExitCode``, ``TimedOut`` and ``ProcessId``."""
    environment = dict(shell.environment)
    for name, value in (values["Environment"] or {}).items():
        environment = with_variable(environment, str(name), str(value))
    start = Start(
        name=values["FileName"],
        arguments=values["Arguments"],
        folder=absolute(values["WorkingDirectory"] or shell.folder, shell.folder),
        environment=environment,
        system=shell.system,
        stdin=bytes(values["InputBytes"] or b""),
    )
    try:
        running = launch(start)
    except NotStarted as refused:
        raise Terminating(start_failed(refused)) from refused
    limit = float(values["TimeoutSeconds"] or 0.0) or None
    ending = _Ending()
    try:
        for stream, data in _output(shell, running, limit, ending):
            yield custom_object({"Stream": stream, "Data": data})
    finally:
        running.close()
    yield custom_object({"ExitCode": ending.code, "TimedOut": ending.timed_out, "ProcessId": shell.session.pid + 4})


def start_failed(refused: NotStarted) -> ErrorRecord:
    """Process.Start of a program that cannot be started, as PowerShell wraps its exception."""
    return ErrorRecord(
        f'Exception calling "Start" with "1" argument(s): "{refused.text}"',
        "Win32Exception",
        exception="System.Management.Automation.MethodInvocationException",
    )


class _Ending:
    """How a program ended."""

    def __init__(self) -> None:
        self.code = 0
        self.timed_out = False


def _output(shell: GuestShell, running: Running, limit: float | None, ending: _Ending) -> Iterator[tuple[int, bytes]]:
    """The program's output in pieces, gathered until it waits."""
    elapsed, waiting, stream = 0.0, bytearray(), 1
    while True:
        event = _next(running, ending)
        same = isinstance(event, Out) and event.stream == stream
        if waiting and (not same or len(waiting) >= PIECE):
            yield from ((stream, bytes(waiting[place : place + PIECE])) for place in range(0, len(waiting), PIECE))
            waiting.clear()
        if event is None:
            return
        if isinstance(event, Out):
            stream = event.stream
            waiting += event.data
            continue
        if limit is not None and elapsed + event.seconds > limit:
            shell.system.wait(limit - elapsed)
            ending.code, ending.timed_out = KILLED, True
            return
        shell.system.wait(event.seconds)
        elapsed += event.seconds


def _next(running: Running, ending: _Ending) -> Event | None:
    try:
        return next(running)
    except StopIteration as end:
        ending.code = int(end.value or 0)
        return None
