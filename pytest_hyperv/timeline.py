"""When a process did what with its machines: spans of time, remembered only where a page of the run was asked for."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

ATTRIBUTE = "hyperv_spans"
"""The attribute of a test's last report that holds the spans since the one before, each as a mapping."""
REMEMBERED = 20_000
"""How many spans a process keeps that no report has taken along yet; the oldest go first."""


@dataclass
class Span:
    """One piece of work: lease, wait, build, clone, warm, reset or discard.

    ``began`` and ``ended`` are seconds since 1970, by a clock that never jumps. ``lane`` is "" for work that a test
    waited for, else the name of the thread that did it meanwhile. ``purpose`` is the node id of whoever asked.
    """

    kind: str
    began: float
    ended: float = 0.0
    lane: str = ""
    machine: str = ""
    state: str = ""
    purpose: str = ""


class Timeline:
    """The spans of one process, from all of its threads. ``Timeline(0)`` remembers nothing."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._own = threading.get_ident()
        self._offset = time.time() - time.monotonic()
        self._spans: deque[Span] = deque(maxlen=limit)
        self.dropped = 0

    @contextmanager
    def span(self, kind: str, *, machine: str = "", state: str = "", purpose: str = "") -> Generator[Span]:
        """Remember how long the block took, however it ends; what is known later is set on the span."""
        lane = "" if threading.get_ident() == self._own else threading.current_thread().name
        span = Span(kind, self._now(), 0.0, lane, machine, state, purpose)
        try:
            yield span
        finally:
            span.ended = self._now()
            if len(self._spans) == self._spans.maxlen:
                self.dropped += 1
            self._spans.append(span)

    def drain(self) -> list[dict[str, Any]]:
        """The spans that ended since the last call, as data that travels."""
        taken = []
        while self._spans:
            taken.append(asdict(self._spans.popleft()))
        return taken

    def _now(self) -> float:
        return self._offset + time.monotonic()
