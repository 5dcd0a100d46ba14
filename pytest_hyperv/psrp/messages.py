"""PSRP messages in fragments (MS-PSRP 2.2.1 and 2.2.4): cutting, joining, and the text that psrpcore leaves wrong.

psrpcore can do both itself; it is done here because its cutting takes quadratic time, because a message that cannot be
decoded must be attributable to its pipeline, and because some values need another text than the one it writes.
"""

from __future__ import annotations

import binascii
import re
import secrets
import struct
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

FRAGMENT_SIZE = 32 * 1024
"""Bytes of one Data packet, headers included (BaseTransportManager.cs 221)."""

MAX_MESSAGE = 512 * 1024 * 1024
"""Longest accepted message in bytes."""

_FRAGMENT = struct.Struct(">QQBI")
_HEAD = struct.Struct("<iI16s16s")
MESSAGE_HEAD = _HEAD.size
"""Bytes before the CLIXML of a message."""
_TO_SERVER = 2
_BYTES_START, _BYTES_END = b"<BA>", b"</BA>"
_START, _END = 1, 2

_LONE_SURROGATE = re.compile(rb"&#(5[5-7]\d{3});")
_REFERENCE = re.compile(rb"&#[xX]([0-9a-fA-F]{1,4});")
_NONCE = secrets.token_hex(12).encode()
_TYPED_TEXT = re.compile(rb'<S((?: N="[^"]*")?)>' + _NONCE + rb"([A-Za-z0-9]+):([^<]*)</S>")
_NONCHARACTER_START = b"\xef\xbf"
_NONCHARACTERS = {b"\xef\xbf\xbe": b"_xFFFE_", b"\xef\xbf\xbf": b"_xFFFF_"}


class BadFragment(ValueError):
    """Fragments that do not follow each other, or are not fragments at all."""


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message as it travelled. ``pipeline`` is None for one that concerns the session.

    ``clean`` is true when its text is known to need no repair.
    """

    object_id: int
    kind: int
    pipeline: uuid.UUID | None
    raw: bytes
    clean: bool = field(default=False, compare=False)

    @property
    def fragment(self) -> bytes:
        """The message as one single fragment."""
        return _FRAGMENT.pack(self.object_id, 0, _START | _END, len(self.raw)) + self.raw


def new_message(kind: int, *, pool: uuid.UUID, pipeline: uuid.UUID, body: bytes, clean: bool = False) -> Message:
    """A message to the server, not numbered yet."""
    return Message(0, kind, pipeline, _HEAD.pack(_TO_SERVER, kind, pool.bytes_le, pipeline.bytes_le) + body, clean)


def bytes_of(message: Message) -> bytes | None:
    """The content of a message that is one byte[] and nothing else, for which no XML is parsed; None for others."""
    raw = message.raw
    if not (raw.startswith(_BYTES_START, MESSAGE_HEAD) and raw.endswith(_BYTES_END)):
        return None
    try:
        return binascii.a2b_base64(raw[MESSAGE_HEAD + len(_BYTES_START) : -len(_BYTES_END)], strict_mode=True)
    except binascii.Error:
        return None


def bytes_body(value: bytes) -> bytes:
    """The CLIXML of a byte[] (MS-PSRP 2.2.5.1.17)."""
    return _BYTES_START + binascii.b2a_base64(value, newline=False) + _BYTES_END


class Joiner:
    """Joins the fragments of one direction of one session into messages."""

    def __init__(self) -> None:
        self._parts: dict[int, list[bytes]] = {}
        self._sizes: dict[int, int] = {}

    def feed(self, payload: bytes) -> list[Message]:
        """The messages that ``payload`` completes. Raises BadFragment."""
        return [message for fragment in _fragments(payload) if (message := self._take(*fragment)) is not None]

    def _take(self, object_id: int, number: int, flags: int, data: bytes) -> Message | None:
        parts = self._parts.setdefault(object_id, [])
        if number != len(parts) or bool(flags & _START) != (number == 0):
            raise BadFragment(f"fragment {number} of object {object_id} arrived, fragment {len(parts)} was due")
        parts.append(data)
        size = self._sizes.get(object_id, 0) + len(data)
        if size > MAX_MESSAGE:
            raise BadFragment(f"object {object_id} is larger than {MAX_MESSAGE} bytes")
        if not flags & _END:
            self._sizes[object_id] = size
            return None
        del self._parts[object_id]
        self._sizes.pop(object_id, None)
        raw = b"".join(parts)
        if len(raw) < MESSAGE_HEAD:
            raise BadFragment(f"object {object_id} holds {len(raw)} bytes, a message has at least {MESSAGE_HEAD}")
        pipeline = uuid.UUID(bytes_le=raw[24:40])
        return Message(object_id, int.from_bytes(raw[4:8], "little"), pipeline if pipeline.int else None, raw)


def _fragments(payload: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    at = 0
    while at < len(payload):
        if len(payload) - at < _FRAGMENT.size:
            raise BadFragment(f"{len(payload) - at} bytes are too few for the header of a fragment")
        object_id, number, flags, length = _FRAGMENT.unpack_from(payload, at)
        at += _FRAGMENT.size
        if length > len(payload) - at:
            raise BadFragment(f"a fragment of {length} bytes was announced, {len(payload) - at} arrived")
        yield object_id, number, flags, payload[at : at + length]
        at += length


def cut(messages: Iterable[Message], size: int = FRAGMENT_SIZE) -> list[bytes]:
    """The payloads of Data packets, each at most ``size`` bytes, small messages sharing one."""
    payloads: list[bytes] = []
    current: list[bytes] = []
    free = size
    for message in messages:
        at = number = 0
        while at < len(message.raw) or number == 0:
            if free <= _FRAGMENT.size:
                payloads.append(b"".join(current))
                current, free = [], size
            data = message.raw[at : at + free - _FRAGMENT.size]
            at += len(data)
            flags = (_START if number == 0 else 0) | (_END if at == len(message.raw) else 0)
            current.append(_FRAGMENT.pack(message.object_id, number, flags, len(data)) + data)
            free -= _FRAGMENT.size + len(data)
            number += 1
    if current:
        payloads.append(b"".join(current))
    return payloads


def repaired_for_reading(message: Message) -> Message:
    """The message with those characters escaped that .NET writes and an XML 1.0 parser refuses."""
    if b"&#" not in message.raw and _NONCHARACTER_START not in message.raw:
        return message
    body = _REFERENCE.sub(lambda found: b"_x%s_" % found[1].upper().rjust(4, b"0"), message.raw[MESSAGE_HEAD:])
    return _with_body(message, _without_noncharacters(body))


def repaired_for_sending(message: Message) -> Message:
    """The message with the text that PSRP wants where psrpcore writes another one.

    Lone surrogates and noncharacters are escaped (``_xD900_``); texts made by `typed_text` become elements of their
    type.
    """
    if message.clean or not any(mark in message.raw for mark in (b"&#", _NONCE, _NONCHARACTER_START)):
        return message
    body = _LONE_SURROGATE.sub(lambda found: b"_x%04X_" % int(found[1]), message.raw[MESSAGE_HEAD:])
    return _with_body(message, _without_noncharacters(_TYPED_TEXT.sub(rb"<\2\1>\3</\2>", body)))


def typed_text(element: str, text: str) -> str:
    """A string that travels as an element of another type, ``TS`` say, with exactly this text (MS-PSRP 2.2.5.1)."""
    return f"{_NONCE.decode()}{element}:{text}"


def _without_noncharacters(body: bytes) -> bytes:
    for character, escaped in _NONCHARACTERS.items():
        body = body.replace(character, escaped)
    return body


def _with_body(message: Message, body: bytes) -> Message:
    return replace(message, raw=message.raw[:MESSAGE_HEAD] + body)
