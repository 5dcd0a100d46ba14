"""The streams of one stage: preferences (ErrorAction, WarningAction) and merging into the output."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from tests.hvsim.engine import errors
from tests.hvsim.engine.invocation import ProcessState, Streams
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.values import NetObject
from tests.psrp.peer.records import ShellError

QUIET = ("silentlycontinue", "ignore")


class Sink(Protocol):
    """Where a pipeline's streams go, and its clock."""

    @property
    def stop(self) -> threading.Event:
        """Set when the pipeline is told to stop."""
        ...

    def output(self, value: object) -> None:
        """One object on the output stream."""

    def error(self, failure: ShellError) -> None:
        """A non-terminating error."""

    def message(self, stream: str, text: str) -> None:
        """A record of the stream "warning", "verbose", "debug" or "information"."""

    def sleep(self, seconds: float) -> None:
        """Wait for real seconds, or raise when the pipeline is stopped."""

    def check(self) -> None:
        """Raise when the pipeline is stopped."""

    def exit(self, code: int) -> None:
        """End the script that says so."""


class StageStreams:
    """What one stage writes besides its output."""

    def __init__(
        self,
        sink: Sink,
        process: ProcessState,
        translate: Callable[[HostFailure], ShellError],
        merged: frozenset[str] = frozenset(),
        values: Mapping[str, object] | None = None,
    ) -> None:
        self._sink = sink
        self._process = process
        self._translate = translate
        self._merged = merged
        self._waiting: deque[object] = deque()
        self.values: Mapping[str, object] = values or {}

    def streams(self) -> Streams:
        """The same as a cmdlet sees it."""
        return Streams(
            warn=lambda text: self._message("warning", text),
            error=lambda failure: self.error(self._translate(failure)),
            verbose=lambda text: self._message("verbose", text),
            sleep=self._sink.sleep,
            check=self._sink.check,
            stop=self._sink.stop,
        )

    def error(self, failure: ShellError) -> None:
        """A non-terminating error, under the stage's ErrorAction. Raises it when that is Stop."""
        action = self._preference("error")
        if variable := self.values.get("ErrorVariable"):
            self._process.variables[str(variable).lstrip("+").casefold()] = errors.record_object(failure)
        if action == "stop":
            raise failure
        if action in QUIET:
            return
        if "error" in self._merged:
            self._waiting.append(errors.record_object(failure))
        else:
            self._sink.error(failure)

    def merged(self) -> Iterator[object]:
        """The records that go to the output, since the last call."""
        while self._waiting:
            yield self._waiting.popleft()

    def _message(self, stream: str, text: str) -> None:
        if stream == "verbose" and not self.values.get("Verbose"):
            return
        if stream == "warning" and self._preference("warning") in QUIET:
            return
        if stream in self._merged:
            name = f"System.Management.Automation.{stream.capitalize()}Record"
            self._waiting.append(NetObject((name, "System.Object"), {"Message": text}, text))
        else:
            self._sink.message(stream, text)

    def _preference(self, stream: str) -> str:
        bound = self.values.get(f"{stream.capitalize()}Action")
        chosen = self._process.variables.get(f"{stream}actionpreference") if bound is None else bound
        return str(chosen or "Continue").casefold()
