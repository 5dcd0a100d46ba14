"""A line into a guest whose script says what a test wants, when the test wants it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pytest_hyperv.backends.hyperv.line import Run
from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.calls import Runnable, Script
from pytest_hyperv.psrp.result import PowerShellResult

PATIENCE = 20.0
"""Seconds a step may wait for what a test does next."""

Step = object
"""An object of the output; an exception to raise; an event to wait for, or until the script is stopped."""


class SpokenRun:
    """The script while it runs. ``taken`` counts the steps whose objects were asked for."""

    def __init__(self, steps: Iterable[Step], result: PowerShellResult) -> None:
        self._steps, self._result = steps, result
        self.stopped = threading.Event()
        self.taken = 0

    def outputs(self) -> Iterator[Any]:
        for step in self._steps:
            if isinstance(step, BaseException):
                raise step
            if isinstance(step, threading.Event):
                self._wait_for(step)
            if self.stopped.is_set():
                return
            if not isinstance(step, threading.Event):
                self.taken += 1
                yield step

    def result(self) -> PowerShellResult:
        return self._result

    def stop(self) -> None:
        self.stopped.set()

    def _wait_for(self, event: threading.Event) -> None:
        for _ in range(int(PATIENCE / 0.01)):
            if event.wait(0.01) or self.stopped.is_set():
                return
        raise AssertionError("a test left its script waiting")


class SpokenLine:
    """Runs one `SpokenRun`, or refuses with ``refusal``. ``on_close`` is called at each closing."""

    put_script = finish_script = get_script = "none"

    def __init__(
        self,
        *steps: Step,
        result: PowerShellResult | None = None,
        refusal: Exception | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self.run = SpokenRun(steps, result or PowerShellResult())
        self._refusal, self._on_close = refusal, on_close
        self.started: list[tuple[Runnable, float]] = []
        self.closed = threading.Event()
        self.ended = False

    def start(self, what: Runnable, *, timeout: float) -> Run:
        self.started.append((what, timeout))
        if self._refusal is not None:
            raise self._refusal
        return self.run

    def control(self, script: Script, *, timeout: float, input: Iterable[Any] | None = None) -> PowerShellResult:
        raise SessionLost(f"no file scripts here: {script.parameters} {timeout} {input}")

    def close(self) -> None:
        self.ended = True
        self.closed.set()
        self._on_close()
