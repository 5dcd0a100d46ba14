"""Byte pipes that carry the out-of-process framing of PSRP."""

from __future__ import annotations

from typing import Protocol


class Pipe(Protocol):
    """A connected, ordered, two-way byte pipe to something that speaks the out-of-process framing.

    ``send`` and ``receive`` may be called from different threads at the same time, each from one thread at a time.
    """

    @property
    def name(self) -> str:
        """What stands at the other end, for messages; holds no secret."""
        ...

    def send(self, data: bytes, timeout: float) -> None:
        """Send all of ``data`` within ``timeout`` seconds. Raises SessionLost when the other end is gone or the time is over."""
        ...

    def receive(self, timeout: float) -> bytes | None:
        """Bytes that have arrived, ``b""`` at end of stream, None when ``timeout`` seconds passed without any."""
        ...

    def diagnosis(self) -> str:
        """What the other end said beside the protocol (the tail of its stderr, its exit code); may be empty."""
        ...

    def close(self) -> None:
        """End the other end and free everything, within bounded time; idempotent, from any thread, wakes a waiting receive."""
        ...
