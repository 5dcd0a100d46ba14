"""One request to the guest's server, as both the reading thread and the calling threads see it."""

from __future__ import annotations

import threading
import time
from collections import deque

from pytest_hyperv.backends.qemu.guest_wire import ANSWERS, FINAL, Frame, Kind, WireError, read_window


class Channel:
    """What arrived for a request and what it may still send, in bytes, both bounded by windows."""

    def __init__(self, kind: bytes, request: int, *, may_send: int, may_receive: int) -> None:
        self.request = request
        self._answers = ANSWERS[kind]
        self._begun = False
        self._changed = threading.Condition()
        self._frames: deque[Frame] = deque()
        self._final: Frame | None = None
        self._reason: Exception | None = None
        self._may_send = may_send
        self._may_receive = may_receive
        self._half = max(may_receive // 2, 1)
        self._taken = 0
        self._takes_input = True

    def deliver(self, frame: Frame) -> None:
        """Called by the reading thread. Raises WireError when the frame does not answer this request, or exceeds it."""
        least, most = self._answers.get(frame.kind, (1, 0))
        if not least <= len(frame.payload) <= most:
            raise WireError(
                f"frame {frame.kind!r} of {len(frame.payload)} bytes does not answer request {self.request}"
            )
        with self._changed:
            if frame.kind == Kind.WINDOW:
                self._may_send += read_window(frame)
            elif frame.kind == Kind.END:
                self._takes_input = False
            elif frame.kind in FINAL:
                self._final = frame
            else:
                self._queue(frame)
            self._changed.notify_all()

    def _queue(self, frame: Frame) -> None:
        if frame.kind == Kind.BEGUN:
            if self._begun:
                raise WireError(f"request {self.request} began twice")
            self._begun = True
        else:
            if len(frame.payload) > self._may_receive:
                raise WireError(
                    f"request {self.request} was sent {len(frame.payload)} bytes, granted were {self._may_receive}"
                )
            self._may_receive -= len(frame.payload)
        self._frames.append(frame)

    def fail(self, reason: Exception) -> None:
        """End every wait, present and future, with ``reason``."""
        with self._changed:
            self._reason = reason
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """Whether the guest is done with the request, or it failed."""
        return self._final is not None or self._reason is not None

    @property
    def takes_input(self) -> bool:
        """False once the program closed its standard input: what is sent on goes nowhere."""
        return self._takes_input

    def next(self, deadline: float | None, *, or_room: bool = False) -> Frame | None:
        """The next frame, the final one again and again; None when ``or_room`` and something can be sent first.

        Raises TimeoutError at the deadline (time.monotonic; None: never) and the reason when the request failed.
        """
        with self._changed:
            while not self._frames:
                if self._reason is not None:
                    raise self._reason
                if self._final is not None:
                    return self._final
                if or_room and (self._may_send > 0 or not self._takes_input):
                    return None
                self._wait(deadline)
            return self._frames.popleft()

    def final(self, deadline: float | None) -> Frame:
        """The final frame, whatever is still unread. Raises as `next` does."""
        with self._changed:
            while self._final is None:
                if self._reason is not None:
                    raise self._reason
                self._wait(deadline)
            return self._final

    def take_room(self, most: int, deadline: float | None) -> int:
        """Wait until something may be sent and claim up to ``most`` bytes; 0 when nothing will ever be taken."""
        with self._changed:
            while self._takes_input and self._final is None:
                if self._reason is not None:
                    raise self._reason
                if self._may_send > 0:
                    claimed = min(most, self._may_send)
                    self._may_send -= claimed
                    return claimed
                self._wait(deadline)
            return 0

    def grant_due(self, consumed: int) -> int:
        """Count bytes as consumed; what should now be granted anew, 0 until half a window came together."""
        with self._changed:
            self._taken += consumed
            if self._taken < self._half or self._final is not None:
                return 0
            due, self._taken = self._taken, 0
            self._may_receive += due
            return due

    def _wait(self, deadline: float | None) -> None:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        self._changed.wait(left)
