"""Files of evidence, one after the other: each bounded in size and time, and what cannot be had becomes a note."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_hyperv.artifacts import TestArtifacts
from pytest_hyperv.errors import HypervError
from pytest_hyperv.plain_text import one_line, plain
from pytest_hyperv.redaction import Redactor
from pytest_hyperv.story import Exhibit

BUDGET = 6.0
"""Seconds that all the evidence of one test may take."""
EACH = 3.0
"""Seconds that one piece of it may take."""
GUEST_ANSWERS = 5.0
"""Seconds after which what was asked of a guest is given up in the guest, too."""
TEXT_LIMIT = 1024 * 1024
"""Characters kept of a text, the last ones."""
DATA_LIMIT = 8 * 1024 * 1024
"""Bytes kept of anything else, the first ones."""


class NotInTime(Exception):
    """Something looked at has not shown itself in time."""


def within(seconds: float, look: Callable[[], Any]) -> Any:
    """What ``look`` returns; it is left alone after ``seconds``, and NotInTime raised. It must change nothing."""
    answer: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answer.put((look(), None))
        except BaseException as error:
            answer.put((None, error))

    threading.Thread(target=work, daemon=True, name="pytest-hyperv-evidence").start()
    try:
        value, failure = answer.get(timeout=max(seconds, 0))
    except queue.Empty:
        raise NotInTime(f"it was not there after {seconds:.1f} s") from None
    if failure is not None:
        raise failure
    return value


class Collector:
    """Takes the evidence of one machine. ``deadline`` is a time of ``time.monotonic``."""

    def __init__(self, machine: str, artifacts: TestArtifacts, redactor: Redactor, deadline: float) -> None:
        self._machine, self._artifacts, self.redactor, self._deadline = machine, artifacts, redactor, deadline
        self.exhibits: list[Exhibit] = []
        self.missing: list[str] = []

    def look(self, what: str, look: Callable[[], Any]) -> Any:
        """What ``look`` returns, None when it cannot be had, which is noted. Never raises."""
        try:
            return within(min(EACH, self._deadline - time.monotonic()), look)
        except Exception as error:
            self.skip(what, error.message if isinstance(error, HypervError) else f"{error}" or type(error).__name__)
            return None

    def skip(self, what: str, why: str) -> None:
        """Note what there is no evidence of."""
        self.missing.append(f"{what}: {one_line(self.redactor.text(why.partition(chr(10))[0]), 200)}")

    def keep_text(self, kind: str, name: str, text: str, note: str = "") -> None:
        """Write a guest's text without secrets and control characters, its end when it is long."""
        cut = len(text) > TEXT_LIMIT
        told = plain(self.redactor.text(text[-TEXT_LIMIT:], cut_start=cut))
        if cut:
            note = ", ".join(part for part in (note, f"the last {TEXT_LIMIT} of {len(text)} characters") if part)
        self._write(kind, name, told.encode("utf-8", "replace"), note)

    def keep_data(self, kind: str, name: str, data: bytes, note: str = "") -> None:
        """Write bytes without secrets, their beginning when there are too many."""
        if len(data) > DATA_LIMIT:
            note = ", ".join(part for part in (note, f"the first {DATA_LIMIT} bytes") if part)
        self._write(kind, name, self.redactor.data(data[:DATA_LIMIT]), note)

    def keep_written(self, kind: str, name: str, write: Callable[[Path], None], note: str, seconds: float) -> None:
        """Have ``write`` fill a file, in ``seconds``."""
        try:
            path, shown = self._artifacts.reserve(self._machine, name)
            within(seconds, lambda: write(path))
            self.exhibits.append(Exhibit(kind, shown, note))
        except Exception as error:
            self.skip(kind, error.message if isinstance(error, HypervError) else f"{error}")

    def keep_picture(self, name: str, data: bytes) -> None:
        """Write a picture as it is."""
        if len(data) > DATA_LIMIT:
            self.skip("screenshot", f"{len(data)} bytes are too many")
            return
        self._write("screenshot", name, data, "")

    def _write(self, kind: str, name: str, data: bytes, note: str) -> None:
        try:
            path = self._artifacts.write(self._machine, name, data)
        except OSError as error:
            self.skip(kind, f"{name} could not be written: {error.strerror or error}")
            return
        self.exhibits.append(Exhibit(kind, path, note))
