"""A program that runs in the guest, with what a test sees of it written into the transcript."""

from __future__ import annotations

from pytest_hyperv.guest import GuestProcess
from pytest_hyperv.transcript import RUNNING, Entry, Transcript


class RecordedProcess:
    """See ``guest.GuestProcess``."""

    def __init__(self, process: GuestProcess, transcript: Transcript, entry: Entry) -> None:
        self._process, self._transcript, self._entry = process, transcript, entry

    def read(self, timeout: float | None = None) -> tuple[int, bytes] | None:
        """The next piece of output, None once both streams ended."""
        with self._transcript.noting_crash():
            piece = self._process.read(timeout)
        if piece is not None:
            self._entry.take(*piece)
        return piece

    def write(self, data: bytes) -> None:
        """Send to the program's standard input."""
        with self._transcript.noting_crash():
            self._process.write(data)

    def close_stdin(self) -> None:
        """Give the program end-of-file on its standard input."""
        with self._transcript.noting_crash():
            self._process.close_stdin()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code."""
        with self._transcript.noting_crash():
            code = self._process.wait(timeout)
        self._transcript.ended(self._entry, f"returned {code}")
        return code

    def kill(self) -> None:
        """End it and everything it started."""
        self._process.kill()
        if self._entry.end == RUNNING:
            self._transcript.ended(self._entry, "killed")
