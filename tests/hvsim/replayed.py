"""A client that says what the vendor's client said in a recording, line by line, and hears what the program answers."""

from __future__ import annotations

import base64
import json
import queue
import re
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

PIPELINE_STATE, POOL_STATE = 0x41006, 0x21005
ACKS = {"Data": "DataAck", "Command": "CommandAck", "Signal": "SignalAck", "Close": "CloseAck"}
SESSION = "00000000-0000-0000-0000-000000000000"
PATIENCE = 30.0
_LINE = re.compile(r"<(\w+)(?: Stream='\w+')? PSGuid='([0-9a-fA-F-]{36})' ?(?:/>|>(.*)</Data>)")


def client_lines(recording: Path) -> list[str]:
    """What the client of a recording said."""
    lines = [json.loads(line) for line in recording.read_text(encoding="utf-8").splitlines()]
    return [text for _, direction, text in lines if direction == ">"]


class ReplayedClient:
    """Says lines one after the other, each after the answer to the one before it.

    `heard` collects the messages by pipeline: kind (MS-PSRP 2.2.1) and body.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin = process.stdin
        self.heard: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._parts: dict[bytes, bytearray] = {}
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def say(self, line: str) -> None:
        """Send one line and wait for its acknowledgement; a pipeline is closed when it has ended."""
        element, guid = self._parsed(line)[:2]
        if element == "Close" and guid != SESSION:
            self._until(lambda: any(kind == PIPELINE_STATE for kind, _ in self.heard[guid]))
        self._stdin.write(line.encode() + b"\n")
        self._stdin.flush()
        acknowledged = False
        while not acknowledged:
            acknowledged = self._next() == (ACKS[element], guid)

    def state_of(self, guid: str) -> int:
        """The last state that a pipeline was said to be in (MS-PSRP 2.2.3.5)."""
        bodies = [body for kind, body in self.heard[guid] if kind == PIPELINE_STATE]
        found = re.search(rb'<I32 N="PipelineState">(\d+)</I32>', bodies[-1])
        assert found is not None
        return int(found[1])

    def until_output(self, guid: str, text: bytes) -> None:
        """Wait for a message of a pipeline that holds `text`."""
        self._until(lambda: any(text in body for _, body in self.heard[guid]))

    def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._next()

    def _next(self) -> tuple[str, str]:
        line = self._lines.get(timeout=PATIENCE)
        assert line is not None, "the program ended"
        element, guid, data = self._parsed(line)
        for kind, body in self._messages(data):
            self.heard[guid].append((kind, body))
        return element, guid

    def _messages(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        while data:
            key, last, length = data[:8], data[16] & 2, int.from_bytes(data[17:21], "big")
            self._parts.setdefault(key, bytearray()).extend(data[21 : 21 + length])
            data = data[21 + length :]
            if last:
                raw = bytes(self._parts.pop(key))
                yield int.from_bytes(raw[4:8], "little"), raw[40:]

    def _parsed(self, line: str) -> tuple[str, str, bytes]:
        found = _LINE.fullmatch(line.strip())
        assert found is not None, line
        return found[1], found[2].lower(), base64.b64decode(found[3] or "")

    def _read(self, stdout: IO[bytes]) -> None:
        for line in stdout:
            self._lines.put(line.decode())
        self._lines.put(None)
