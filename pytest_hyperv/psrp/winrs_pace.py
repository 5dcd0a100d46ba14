"""When to issue the next Receive, so that the answer to a small Send comes in one piece.

A Receive that already waits when a request goes out is answered with the first line of the answer. Where that is all of
it, nothing could be faster. Where the rest takes another Receive, as after the acknowledgement of a pipeline, the next
one is held back for a few milliseconds after a small piece in either direction, as long as answers have lately taken to
be complete. Bulk data is not held back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_SMALL = 8192
"""Bytes below which a piece is taken for a part of a conversation and not of bulk data."""
_LONGEST_SEND = 0.02
"""Seconds after which a Send no longer holds the Receive back: the process may be blocked on its own output."""
_LINGER = 0.005
"""Seconds for which, where answers come in pieces, the next request is awaited after one."""
_SHORTEST, _LONGEST = 0.001, 0.012
_SPARE, _SHRINK = 1.1, 0.99
"""The hold is what the last piece of an answer took and a little more; it shrinks with every answer in one piece."""


class ReceivePace:
    """Told of every Send and every answer, it lets the receiving thread go on when a Receive is likely to be worth it.

    ``clock`` counts seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._not_before = 0.0
        self._hold = 0.0
        self._answers = 0
        self._sent_at = 0.0
        self._complete_after = 0.0
        self._released = False

    def send_begins(self, size: int) -> None:
        """A Send of ``size`` bytes goes out now."""
        with self._changed:
            if size < _SMALL:
                self._learn()
            self._hold_back(_LONGEST_SEND if size < _SMALL else 0.0)
            self._answers = 0
            self._changed.notify_all()

    def _learn(self) -> None:
        """Judge the hold by the answer to the last Send; one that goes on for longer could not be awaited anyway."""
        if self._answers == 1:
            shorter = self._hold * _SHRINK
            self._hold = shorter if shorter >= _SHORTEST else 0.0
        elif self._answers > 1 and self._complete_after <= _LONGEST:
            self._hold = min(_LONGEST, max(_SHORTEST, self._hold, self._complete_after) * _SPARE)

    def _hold_back(self, seconds: float) -> None:
        self._not_before = self._clock() + (seconds if self._hold else 0.0)

    def send_ended(self, size: int) -> None:
        """It has been taken."""
        with self._changed:
            self._sent_at = self._clock()
            self._hold_back(self._hold if size < _SMALL else 0.0)
            self._changed.notify_all()

    def received(self, size: int) -> None:
        """A Receive brought ``size`` bytes."""
        with self._changed:
            self._answers += 1
            self._complete_after = self._clock() - self._sent_at
            self._hold_back(_LINGER if size < _SMALL else 0.0)

    @property
    def due_in(self) -> float:
        """Seconds until the next Receive is due, 0 when it is."""
        return 0.0 if self._released else max(0.0, self._not_before - self._clock())

    def wait(self) -> None:
        """Return when the next Receive is due."""
        with self._changed:
            while (left := self.due_in) > 0:
                self._changed.wait(left)

    def release(self) -> None:
        """Hold nothing back from now on."""
        with self._changed:
            self._released = True
            self._changed.notify_all()
