"""When to issue the next Receive, so that the answer to a small Send comes in one piece.

A Receive that already waits when a request goes out is answered with the first line of the answer, its acknowledgement,
and the rest takes another Receive. So after a small piece in either direction the next Receive is held back by a few
milliseconds, as long as answers have lately taken to be complete. Bulk data is not held back.
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
_SHORTEST, _LONGEST = 0.001, 0.008
_SHRINK, _GROW = 0.995, 1.25


class ReceivePace:
    """Told of every Send and every answer, it lets the receiving thread go on when a Receive is likely to be worth it.

    ``clock`` counts seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._not_before = 0.0
        self._hold = 0.003
        self._answers = 0
        self._released = False

    def send_begins(self, size: int) -> None:
        """A Send of ``size`` bytes goes out now."""
        with self._changed:
            if size < _SMALL:
                factor = _SHRINK if self._answers <= 1 else _GROW
                self._hold = min(_LONGEST, max(_SHORTEST, self._hold * factor))
                self._not_before = self._clock() + _LONGEST_SEND
            self._answers = 0
            self._changed.notify_all()

    def send_ended(self, size: int) -> None:
        """It has been taken."""
        with self._changed:
            self._not_before = self._clock() + (self._hold if size < _SMALL else 0.0)
            self._changed.notify_all()

    def received(self, size: int) -> None:
        """A Receive brought ``size`` bytes."""
        with self._changed:
            self._answers += 1
            self._not_before = self._clock() + (_LINGER if size < _SMALL else 0.0)

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
