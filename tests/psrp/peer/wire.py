"""Lines of the out-of-process framing on two descriptors, the server's way."""

from __future__ import annotations

import base64
import binascii
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

ZERO = uuid.UUID(int=0)
_DATA = re.compile(rb"<Data Stream='(?:Default|PromptResponse)' PSGuid='([0-9a-fA-F-]{36})'>")
_DATA_END = b"</Data>"
_MARK = re.compile(rb"<(Command|Close|Signal|DataAck) PSGuid='([0-9a-fA-F-]{36})' ?/>")


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
            line = raw.rstrip(b"\r\n")
            data, mark = _DATA.match(line), _MARK.fullmatch(line)
            try:
                if data is not None and line.endswith(_DATA_END):
                    payload = binascii.a2b_base64(line[data.end() : -len(_DATA_END)], strict_mode=True)
                    yield Line("Data", uuid.UUID(data[1].decode()), payload)
                elif mark is not None:
                    yield Line(mark[1].decode(), uuid.UUID(mark[2].decode()), b"")
                else:
                    raise BrokenLine(repr(raw[:100]))
            except ValueError as error:
                raise BrokenLine(f"{error}: {raw[:100]!r}") from error

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
