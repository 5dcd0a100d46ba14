"""Lines of the out-of-process framing on two descriptors, the server's way."""

from __future__ import annotations

import base64
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

ZERO = uuid.UUID(int=0)
_LINE = re.compile(rb"<(\w+)(?: Stream='(\w+)')? PSGuid='([0-9a-fA-F-]{36})' ?(?:/>|>([A-Za-z0-9+/=]*)</Data>)")
_ELEMENTS = {"Data", "Command", "Close", "Signal", "DataAck"}


class Line(NamedTuple):
    """What one line from the client says."""

    element: str
    guid: uuid.UUID
    payload: bytes


class BrokenLine(Exception):
    """The client sent something that is not the framing."""


class Wire:
    """Reads lines from ``source``, writes them whole with ``sink``; writing is safe from any thread."""

    def __init__(self, source: IO[bytes], sink: Callable[[bytes], object]) -> None:
        self._source = source
        self._sink = sink
        self._lock = threading.Lock()
        self.mute = False

    def lines(self) -> Iterator[Line]:
        """What the client says, to the end of input. Raises BrokenLine."""
        for raw in self._source:
            found = _LINE.fullmatch(raw.strip())
            if found is None or found[1].decode() not in _ELEMENTS:
                raise BrokenLine(repr(raw[:100]))
            yield Line(found[1].decode(), uuid.UUID(found[3].decode()), base64.b64decode(found[4] or b""))

    def mark(self, element: str, guid: uuid.UUID) -> None:
        """Write an element without data."""
        self.raw(f"<{element} PSGuid='{guid}' />\n".encode())

    def data(self, guid: uuid.UUID | None, payload: bytes, stream: str = "Default") -> None:
        """Write fragments."""
        self.raw(
            f"<Data Stream='{stream}' PSGuid='{guid or ZERO}'>".encode() + base64.b64encode(payload) + b"</Data>\n"
        )

    def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        with self._lock:
            if not self.mute:
                self._sink(data)

    def last(self, data: bytes) -> None:
        """Write bytes, and nothing after them."""
        with self._lock:
            self.mute = True
            self._sink(data)
