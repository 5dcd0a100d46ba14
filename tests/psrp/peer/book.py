"""A book of recorded answers: what a real engine said to the pipelines of a recording.

A recording is lines of ``[seconds, direction, text]``; see tests/psrp/recordings. Each answer waits for as many
messages and signals of the client as had been sent before it when it was recorded.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psrpcore
from psrpcore import types as ps

_DATA = re.compile(r"<Data Stream='\w+' PSGuid='([^']+)'>(.*)</Data>")
_SIGNAL = re.compile(r"<Signal PSGuid='([^']+)' ?/>")
_HEAD = 40


class Answer(NamedTuple):
    """One recorded message of the server, and what of the client's it came after."""

    after_messages: int
    after_signals: int
    kind: int
    body: bytes


class _Half(NamedTuple):
    """One direction of a recording while it is read."""

    parts: dict[int, bytearray]

    def messages(self, payload: bytes) -> Iterator[bytes]:
        """The whole messages that a payload of fragments completes (MS-PSRP 2.2.4)."""
        while payload:
            number, flags = int.from_bytes(payload[:8], "big"), payload[16]
            length = int.from_bytes(payload[17:21], "big")
            self.parts.setdefault(number, bytearray()).extend(payload[21 : 21 + length])
            payload = payload[21 + length :]
            if flags & 2:
                yield bytes(self.parts.pop(number))


def signature(shell: psrpcore.PowerShell) -> str:
    """What a pipeline says, without its values."""
    return "\n".join(f"{command.command_text}{';' if command.end_of_statement else '|'}" for command in shell.commands)


class Book:
    """The answers of one recording, by what was asked, in the order it was asked."""

    def __init__(self, path: Path) -> None:
        halves = {"<": _Half({}), ">": _Half({})}
        sent: dict[str, int] = defaultdict(int)
        signals: dict[str, int] = defaultdict(int)
        answers: dict[str, list[Answer]] = defaultdict(list)
        asked: list[tuple[str, str]] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            _, direction, text = json.loads(line)
            if direction == ">" and (signal := _SIGNAL.fullmatch(text)):
                signals[signal[1]] += 1
            data = _DATA.fullmatch(text)
            if data is None or direction not in halves:
                continue
            for raw in halves[direction].messages(base64.b64decode(data[2])):
                kind = int.from_bytes(raw[4:8], "little")
                if direction == "<":
                    answers[data[1]].append(Answer(sent[data[1]], signals[data[1]], kind, raw[_HEAD:]))
                else:
                    sent[data[1]] += 1
                    if kind == ps.PSRPMessageType.CreatePipeline.value:
                        asked.append((_asked(raw), data[1]))
        self._answers: dict[str, list[list[Answer]]] = defaultdict(list)
        for said, guid in asked:
            self._answers[said].append(answers[guid])

    def take(self, shell: psrpcore.PowerShell) -> list[Answer] | None:
        """The answers to the next pipeline of this kind; None when the recording has no more."""
        waiting = self._answers.get(signature(shell))
        return waiting.pop(0) if waiting else None


def _asked(raw: bytes) -> str:
    pool = psrpcore.ServerRunspacePool()
    pipeline = uuid.UUID(bytes_le=raw[24:_HEAD])
    psrpcore.ServerPipeline(pool, pipeline)
    head = bytes(16) + b"\x03" + len(raw).to_bytes(4, "big")
    pool.receive_data(psrpcore.PSRPPayload(head + raw, psrpcore.StreamType.default, pipeline))
    event = pool.next_event()
    if not isinstance(event, psrpcore.CreatePipelineEvent):
        raise ValueError(f"a message of the kind CreatePipeline was read as {event!r}")
    return signature(event.pipeline)
