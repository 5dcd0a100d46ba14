"""A program that runs in a Windows guest while the test goes on, over a line of its own."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence

from pytest_hyperv.backends.hyperv.line import Line, Run
from pytest_hyperv.backends.hyperv.program import OutputLimit, outcome
from pytest_hyperv.errors import CommandTimeout, GuestError, HypervError, SessionLost
from pytest_hyperv.psrp.calls import Script
from pytest_hyperv.psrp.dotnet import PSObject

LIFETIME = 24 * 3600.0
"""Seconds a program that was left running may run."""
QUEUE = 256
"""Pieces of output that wait to be read; then the guest waits."""


class LineProcess:
    """See ``guest.GuestProcess``. Its standard input is empty; it ends with the line that was opened for it."""

    def __init__(
        self, argv: Sequence[str], line: Line, script: Script, why: Callable[[SessionLost], Exception]
    ) -> None:
        self._argv, self._line, self._why = argv, line, why
        self._pieces: queue.Queue[tuple[int, bytes] | None] = queue.Queue(QUEUE)
        self._ended, self._killed = threading.Event(), threading.Event()
        self._code = -1
        self._failure: Exception | None = None
        try:
            self._running: Run = line.start(script, timeout=LIFETIME)
        except BaseException:
            line.close()
            raise
        threading.Thread(target=self._read, name=f"pytest-hyperv-{argv[0]}", daemon=True).start()

    def read(self, timeout: float | None = None) -> tuple[int, bytes] | None:
        """The next piece of output, or None once both streams ended. Raises CommandTimeout."""
        try:
            piece = self._pieces.get(timeout=timeout)
        except queue.Empty:
            raise CommandTimeout(f"{self._argv[0]} wrote nothing for {timeout:g} s", timeout=timeout or 0.0) from None
        if piece is None:
            self._pieces.put(None)
            if self._failure is not None and not self._killed.is_set():
                raise self._failure
        return piece

    def write(self, data: bytes) -> None:  # noqa: ARG002
        """Not over this road. Raises GuestError."""
        raise GuestError(
            "a program that was spawned in a Windows guest has no standard input",
            hint="give it what it is to read with vm.run(..., input=...), or in a file.",
        )

    def close_stdin(self) -> None:
        """Its standard input has been at its end from the beginning."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; output that nobody read is dropped. Raises CommandTimeout and leaves it running."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self._ended.is_set():
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise CommandTimeout(f"{self._argv[0]} still runs after {timeout:g} s", timeout=timeout or 0.0)
            with contextlib.suppress(CommandTimeout):
                if self.read(left) is None:
                    self._ended.wait(left)
        if self._failure is not None and not self._killed.is_set():
            raise self._failure
        return self._code

    def kill(self) -> None:
        """End it and everything it started; idempotent."""
        if self._killed.is_set():
            return
        self._killed.set()
        with contextlib.suppress(SessionLost):
            if not self._ended.is_set():
                self._running.stop()
        self._line.close()

    def _read(self) -> None:
        streams = OutputLimit(self._argv, 2**62, None)
        try:
            for told in self._running.outputs():
                if isinstance(told, PSObject) and "Data" in told:
                    self._offer((int(told.Stream), bytes(told.Data)))
                else:
                    streams.take(told)
            self._code = outcome(self._argv, streams, self._running.result(), 0.0, LIFETIME).returncode
        except SessionLost as lost:
            self._failure = self._why(lost)
        except HypervError as error:
            self._failure = error
        finally:
            self._ended.set()
            self._offer(None)
            self._line.close()

    def _offer(self, piece: tuple[int, bytes] | None) -> None:
        """Hand on the next piece when there is room. Once killed, only the end counts: it pushes out what waits."""
        while not self._killed.is_set():
            try:
                self._pieces.put(piece, timeout=0.5)
                return
            except queue.Full:
                continue
        while piece is None:
            try:
                self._pieces.put_nowait(None)
                return
            except queue.Full:
                with contextlib.suppress(queue.Empty):
                    self._pieces.get_nowait()
