"""A line into a guest: runs one script after the other there, by way of the host or straight.

The way of the host is a PowerShell process there that holds one ``New-PSSession -VMId``; run-script.ps1 in it keeps
what a session inside a session loses. A straight line is a PowerShell session that ends in the guest itself: WinRM, or
PowerShell Direct over a Hyper-V socket.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from pytest_hyperv.backends.hyperv.records import Streams
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.errors import CommandTimeout, GuestError, SessionLost
from pytest_hyperv.psrp.calls import Call, Command, Runnable, Script
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.pipeline import RunningCall
from pytest_hyperv.psrp.result import PowerShellResult

STATE_TIMEOUT = 15.0
"""Seconds the process on the host may take to say how its session is."""
NEVER_SENT = "InvalidSessionState"
"""In the id of an error that says that the session was gone before anything was sent."""


class NeverSent(SessionLost):
    """The session had ended before the call, of which nothing was sent: it may be made again over a new one."""


class Run(Protocol):
    """A script while it runs. Iterate ``outputs``, then ask for the ``result``."""

    def outputs(self) -> Iterator[Any]:
        """The objects on its output stream as they come. Raises CommandTimeout, SessionLost."""
        ...

    def result(self) -> PowerShellResult:
        """All streams, the rest of the output included. Raises CommandTimeout, SessionLost."""
        ...

    def stop(self) -> None:
        """Stop it; the line stays usable. Raises SessionLost when it does not stop."""
        ...


class Line(Protocol):
    """A line into a guest. One script at a time; from one thread at a time."""

    put_script: str
    finish_script: str
    get_script: str

    @property
    def ended(self) -> bool:
        """Whether it is known to have ended."""
        ...

    def start(self, what: Runnable, *, timeout: float) -> Run:
        """Begin a call in the guest. Raises NeverSent, CommandTimeout, SessionLost."""
        ...

    def control(self, script: Script, *, timeout: float, input: Iterable[Any] | None = None) -> PowerShellResult:
        """Run one of the file scripts; it fails as CmdletError. Raises NeverSent, CommandTimeout, SessionLost."""
        ...

    def close(self) -> None:
        """End it; idempotent."""
        ...


def run(line: Line, what: Runnable, *, timeout: float) -> PowerShellResult:
    """One call to its end."""
    with ending(line.start(what, timeout=timeout)) as running:
        return running.result()


@contextmanager
def ending(running: Run) -> Iterator[Run]:
    """Stop what runs when the block is left by an exception that does not say that it has ended."""
    try:
        yield running
    except (CommandTimeout, SessionLost):
        raise
    except BaseException:
        running.stop()
        raise


class NestedLine:
    """By way of a PowerShell process on the host whose session into the guest is open."""

    put_script, finish_script, get_script = "copy-in", "finish-copy", "copy-out"

    def __init__(self, process: Session, name: str, release: Callable[[Session], None]) -> None:
        """``release`` takes the process back when nothing runs in it; otherwise it is ended."""
        self._process, self._name, self._release = process, name, release
        self._broken = self._closed = False
        self.busy = False

    @property
    def ended(self) -> bool:
        """Whether the session is known to be broken, or its process to be gone."""
        return self._broken or self._closed or self._process.lost is not None

    def start(self, what: Runnable, *, timeout: float) -> Run:
        """Begin a call in the guest."""
        self._check()
        self.busy = True
        return _NestedRun(self, self._process.start(_as_script(Call(what)), timeout=timeout))

    def control(self, script: Script, *, timeout: float, input: Iterable[Any] | None = None) -> PowerShellResult:
        """Run a script that talks to the guest by itself."""
        self._check()
        self.busy = True
        result = self._process.run(script.in_local_scope(), timeout=timeout, input=input)
        self.busy = False
        if result.errors:
            self.fail_if_ended(result)
            raise result.errors[0].cmdlet_error("the file script", self._name)
        return result

    def close(self) -> None:
        """Give the process back, with whatever session is in it, or end both."""
        if self._closed:
            return
        self._closed = True
        if self.busy or self._process.lost is not None:
            self._process.close()
        else:
            self._release(self._process)

    def _check(self) -> None:
        if self.ended:
            why = self._process.lost.message if self._process.lost is not None else "it was closed"
            raise NeverSent(f"the PowerShell session by way of the host of {self._name} has ended: {why}")

    def fail_if_ended(self, result: PowerShellResult) -> None:
        """Raise when an error of the outer pipeline means the end of the session: only the session itself knows.

        A pipeline whose guest died ends as Completed, with an error.
        """
        error = result.errors[0]
        state = str(self._process.run(Script(text("session-state")), timeout=STATE_TIMEOUT).one)
        if state == "Opened":
            return
        self._broken = True
        kind = NeverSent if NEVER_SENT in error.error_id else SessionLost
        raise kind(f"the PowerShell Direct session with {self._name} is {state.lower()}: {error.message}")


class _NestedRun:
    """See Run."""

    def __init__(self, line: NestedLine, running: RunningCall) -> None:
        self._line, self._running, self._streams = line, running, Streams()
        self._began = time.monotonic()

    def outputs(self) -> Iterator[Any]:
        for item in self._running.items():
            if item.stream == "output" and self._streams.take(item.value):
                yield item.value
        outer = self._running.result()
        self._line.busy = False
        if outer.errors and not outer.stopped:
            self._line.fail_if_ended(outer)
            raise outer.errors[0].cmdlet_error("the runner of scripts")
        if self._streams.trailer is None and not outer.stopped:
            raise SessionLost("the guest's PowerShell ended in the middle of a script")

    def result(self) -> PowerShellResult:
        self._streams.output.extend(self.outputs())
        return self._streams.result("the script", time.monotonic() - self._began, stopped=False)

    def stop(self) -> None:
        self._running.stop()
        self._line.busy = False


class StraightLine:
    """A PowerShell session that ends in the guest."""

    put_script, finish_script, get_script = "put-file", "finish-file", "get-file"

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def ended(self) -> bool:
        """Whether the session is lost."""
        return self._session.lost is not None

    def start(self, what: Runnable, *, timeout: float) -> Run:
        """Begin a call in the guest."""
        self._check()
        call = Call(what)
        only = call.statements[0].stages[0]
        single = len(call.statements) == 1 and len(call.statements[0].stages) == 1
        return _StraightRun(
            self._session.start(only.in_local_scope() if single and isinstance(only, Script) else call, timeout=timeout)
        )

    def control(self, script: Script, *, timeout: float, input: Iterable[Any] | None = None) -> PowerShellResult:
        """Run a script that works on the guest's files."""
        self._check()
        return self._session.call(script.in_local_scope(), timeout=timeout, input=input)

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def _check(self) -> None:
        if self._session.lost is not None:
            raise NeverSent(self._session.lost.message)


class _StraightRun:
    """See Run."""

    def __init__(self, running: RunningCall) -> None:
        self._running = running

    def outputs(self) -> Iterator[Any]:
        for item in self._running.items():
            if item.stream == "output":
                yield item.value

    def result(self) -> PowerShellResult:
        return self._running.result()

    def stop(self) -> None:
        self._running.stop()


def _as_script(call: Call) -> Script:
    """The call as one script for the guest, through the runner."""
    stage = call.statements[0].stages[0]
    if len(call.statements) == 1 and len(call.statements[0].stages) == 1 and isinstance(stage, Script):
        return _runner(stage)
    statements = [[_plain(stage) for stage in statement.stages] for statement in call.statements]
    return Script(text("invoke-calls"), Statements=statements).in_local_scope()


def _runner(script: Script) -> Script:
    arguments = [value for name, value in script.parameters if name is None]
    named = {name: value for name, value in script.parameters if name is not None}
    return Script(text("run-script"), Script=script.text, Arguments=arguments, Parameters=named).in_local_scope()


def _plain(stage: Command | Script) -> dict[str, Any]:
    if isinstance(stage, Script):
        raise GuestError(
            "a script cannot be part of a pipeline of cmdlets in a guest",
            hint="run it alone, or write all as one script.",
        )
    return {
        "Name": stage.name,
        "Arguments": [value for name, value in stage.parameters if name is None],
        "Parameters": {name: value for name, value in stage.parameters if name is not None},
    }
