"""Recorded PSRP traffic, read: lines, packets, messages, and what each pipeline said and heard.

A recording is one JSON array a line: seconds since its start, ``>`` (client to server), ``<`` (server to client) or
``#`` (a remark), and the framing line.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psrpcore
from psrpcore import types as ps

from pytest_hyperv.psrp.framing import SESSION, Control, Data, LineParser, Mark, Packet, encode
from pytest_hyperv.psrp.messages import Joiner, Message, repaired_for_reading

END_STATES = {"Completed", "Failed", "Stopped"}
_HEAD = 40


class PlainText(ps.PSCryptoProvider):
    """Stands for the session key that a recording does not have: a secret is read as what stands on the wire."""

    def decrypt(self, value: str) -> str:
        """The text, where it travelled as plain UTF-16 (protocol 2.4); its encrypted form otherwise."""
        try:
            return base64.b64decode(value).decode("utf-16-le")
        except (binascii.Error, UnicodeDecodeError):
            return value

    def encrypt(self, value: str) -> str:
        """The opposite of `decrypt`."""
        return base64.b64encode(value.encode("utf-16-le")).decode()

    def register_key(self, key: bytes) -> None:
        """There is no key."""


@dataclass(frozen=True)
class Heard:
    """A message of the server, and how much of the client's came before it for the same GUID."""

    after_messages: int
    after_signals: int
    after_closes: int
    message: Message


@dataclass
class Talk:
    """Everything about one GUID: the session, or a pipeline."""

    guid: uuid.UUID
    said: list[Message] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    acknowledged: list[Mark] = field(default_factory=list)

    @property
    def events(self) -> list[Any]:
        """What the server said, decoded."""
        return [event_of(heard.message) for heard in self.heard]

    @property
    def closed_early(self) -> bool:
        """True when the client closed the pipeline before it had ended."""
        ends = [heard for heard in self.heard if _end_state(event_of(heard.message))]
        return not ends or ends[-1].after_closes > 0

    @property
    def state(self) -> str:
        """How the pipeline ended; empty when the recording does not say."""
        return next((state for event in reversed(self.events) if (state := _end_state(event))), "")


@dataclass(frozen=True)
class Step:
    """One thing that came over the pipe."""

    from_client: bool
    packet: Packet
    messages: tuple[Message, ...]

    @property
    def line(self) -> bytes:
        """The framing line."""
        return encode(self.packet)


class Recording:
    """One recorded session."""

    def __init__(self, path: Path) -> None:
        """Read it whole. Raises ValueError, FramingError or BadFragment for what is not a recording."""
        self.path = path
        self.steps = list(_steps(path))
        self.talks: dict[uuid.UUID, Talk] = {SESSION: Talk(SESSION)}
        for step in self.steps:
            self._add(step)

    @property
    def session(self) -> Talk:
        """What concerns the session itself."""
        return self.talks[SESSION]

    @property
    def pipelines(self) -> list[Talk]:
        """The pipelines in the order they were announced."""
        return [talk for guid, talk in self.talks.items() if guid != SESSION]

    @property
    def closed(self) -> bool:
        """True when the server acknowledged the close of the session."""
        return Mark.CLOSE_ACK in self.session.acknowledged

    def _add(self, step: Step) -> None:
        talk = self.talks.setdefault(step.packet.guid, Talk(step.packet.guid))
        if isinstance(step.packet, Control):
            (talk.marks if step.from_client else talk.acknowledged).append(step.packet.mark)
        elif step.from_client:
            talk.said += step.messages
        else:
            signals, closes = talk.marks.count(Mark.SIGNAL), talk.marks.count(Mark.CLOSE)
            talk.heard += [Heard(len(talk.said), signals, closes, message) for message in step.messages]


def _end_state(event: Any) -> str:
    """The final state that an event tells; empty for any other event."""
    ended = isinstance(event, psrpcore.PipelineStateEvent) and event.state.name in END_STATES
    return str(event.state.name) if ended else ""


def _steps(path: Path) -> Iterator[Step]:
    parsers = {">": LineParser(noise_allowed=False), "<": LineParser()}
    joiners = {">": Joiner(), "<": Joiner()}
    for line in path.read_text(encoding="utf-8").splitlines():
        _, direction, text = json.loads(line)
        if direction not in parsers:
            continue
        for packet in parsers[direction].feed(text.encode() + b"\n"):
            messages = tuple(joiners[direction].feed(packet.payload)) if isinstance(packet, Data) else ()
            yield Step(direction == ">", packet, messages)


def body_of(message: Message) -> bytes:
    """The CLIXML of a message; may be empty."""
    return message.raw[_HEAD:].removeprefix(b"\xef\xbb\xbf")


def event_of(message: Message) -> Any:
    """The message as psrpcore's event. Raises what psrpcore's parsers raise."""
    body = body_of(repaired_for_reading(message))
    kind = ps.PSRPMessageType(message.kind)
    pool = uuid.UUID(bytes_le=message.raw[8:24])
    value: Any = None
    if kind is ps.PSRPMessageType.EndOfPipelineInput:
        value = ps.EndOfPipelineInput()
    elif body:
        value = ps.deserialize(ElementTree.fromstring(body), PlainText())
    return psrpcore.PSRPEvent.create(kind, value, pool, message.pipeline)
