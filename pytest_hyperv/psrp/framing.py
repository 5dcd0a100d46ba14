"""The out-of-process framing of PSRP: lines on a byte pipe, read and written without any I/O.

Source of the facts: OutOfProcTransportManager.cs lines 76-142 (the elements) and 694 (the error line of a PowerShell
Direct server). Both directions speak the same lines, so one parser serves client and server.
"""

from __future__ import annotations

import binascii
import enum
import re
import uuid
from collections import deque
from dataclasses import dataclass

from pytest_hyperv.errors import SessionLost

SESSION = uuid.UUID(int=0)
"""The GUID that stands for the session (runspace pool) itself; every other one is a pipeline."""

MAX_LINE = 4 * 1024 * 1024
"""Longest accepted line in bytes. Servers send fragments of 32 KiB; 1 MiB ones have been seen to work."""

_NOISE_LINES = 40
_NOISE_CHARS = 400
_DATA_HEAD = re.compile(rb"<Data Stream=(['\"])(Default|PromptResponse)\1 PSGuid=(['\"])([0-9A-Fa-f-]{36})\3>")
_DATA_TAIL = b"</Data>"
_SIGNAL_LINE = re.compile(rb"<([A-Za-z]+) PSGuid=(['\"])([0-9A-Fa-f-]{36})\2 ?/>")
_SOCKET_ERROR = b"__HyperVSocketError__:"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Stream(enum.Enum):
    """The two priorities of data: pipeline data, and answers to host calls."""

    DEFAULT = "Default"
    PROMPT_RESPONSE = "PromptResponse"


class Mark(enum.Enum):
    """The elements that carry a GUID and nothing else."""

    DATA_ACK = "DataAck"
    COMMAND = "Command"
    COMMAND_ACK = "CommandAck"
    CLOSE = "Close"
    CLOSE_ACK = "CloseAck"
    SIGNAL = "Signal"
    SIGNAL_ACK = "SignalAck"


@dataclass(frozen=True, slots=True)
class Data:
    """PSRP fragments for the session or a pipeline."""

    guid: uuid.UUID
    payload: bytes
    stream: Stream = Stream.DEFAULT


@dataclass(frozen=True, slots=True)
class Control:
    """A request or an acknowledgement for the session or a pipeline."""

    mark: Mark
    guid: uuid.UUID


Packet = Data | Control


class FramingError(SessionLost):
    """What arrived cannot be the framing; the session cannot go on. ``line`` is the beginning of what was read."""

    def __init__(self, message: str, *, line: bytes = b"", hint: str = "") -> None:
        self.line = line[:_NOISE_CHARS]
        shown = f": {self.line!r}" if line else ""
        super().__init__(f"{message}{shown}", hint=hint)


def encode(packet: Packet) -> bytes:
    """One line, with its line feed."""
    if isinstance(packet, Data):
        return b"<Data Stream='%s' PSGuid='%s'>%s</Data>\n" % (
            packet.stream.value.encode(),
            str(packet.guid).encode(),
            binascii.b2a_base64(packet.payload, newline=False),
        )
    return b"<%s PSGuid='%s' />\n" % (packet.mark.value.encode(), str(packet.guid).encode())


class LineParser:
    """Turns received bytes into packets, however they were split.

    A line that does not begin with ``<`` is noise (a program wrote straight to the process's stdout): it is kept in
    ``noise`` and skipped. With ``noise_allowed=False``, the server's side of the framing, it ends the session, as an
    empty line does (OutOfProcServerMediator.cs 359-373). A broken line that begins with ``<`` always ends the
    session.
    """

    def __init__(self, *, max_line: int = MAX_LINE, noise_allowed: bool = True) -> None:
        self._max_line = max_line
        self._noise_allowed = noise_allowed
        self._pieces: list[bytes] = []
        self._pending = 0
        self._at_start = True
        self._noise: deque[str] = deque(maxlen=_NOISE_LINES)

    @property
    def noise(self) -> str:
        """The last lines that were not framing, for messages."""
        return "\n".join(self._noise)

    @property
    def incomplete(self) -> bytes:
        """The line that has begun and not ended."""
        return b"".join(self._pieces)

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are complete now, in order. Raises FramingError; the parser is of no use afterwards."""
        packets: list[Packet] = []
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._keep(piece)
            line = b"".join(self._pieces)
            self._pieces.clear()
            self._pending = 0
            packet = self._line(line.removesuffix(b"\r"))
            if packet is not None:
                packets.append(packet)
        if rest:
            self._keep(rest)
        return packets

    def _keep(self, piece: bytes) -> None:
        self._pending += len(piece)
        if self._pending > self._max_line:
            raise FramingError(
                f"a line of more than {self._max_line} bytes arrived", line=(self._pieces[0] if self._pieces else piece)
            )
        self._pieces.append(piece)

    def _line(self, line: bytes) -> Packet | None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if line.startswith(b"<"):
            return parse_line(line)
        if line.startswith(_SOCKET_ERROR):
            reason = line.removeprefix(_SOCKET_ERROR).decode("utf-8", "replace").strip()
            raise FramingError(f"the PowerShell Direct server reported an error: {reason}")
        if not self._noise_allowed:
            raise FramingError("a line that is not the framing arrived", line=line)
        if line:
            self._noise.append(line[:_NOISE_CHARS].decode("utf-8", "replace"))
        return None


def parse_line(line: bytes) -> Packet:
    """The packet that one whole line holds. Raises FramingError when it holds none."""
    head = _DATA_HEAD.match(line)
    if head is not None:
        if not line.endswith(_DATA_TAIL):
            raise FramingError("a Data line without its end arrived", line=line)
        try:
            payload = binascii.a2b_base64(line[head.end() : -len(_DATA_TAIL)], strict_mode=True)
        except binascii.Error as error:
            raise FramingError(f"a Data line with bad base64 arrived ({error})", line=line) from error
        return Data(_guid(head[4], line), payload, Stream(head[2].decode()))
    control = _SIGNAL_LINE.fullmatch(line)
    if control is None:
        raise FramingError("a malformed line arrived", line=line)
    try:
        mark = Mark(control[1].decode())
    except ValueError as error:
        raise FramingError(f"an unknown element {control[1].decode()} arrived", line=line) from error
    return Control(mark, _guid(control[3], line))


def _guid(text: bytes, line: bytes) -> uuid.UUID:
    try:
        return uuid.UUID(text.decode())
    except ValueError as error:
        raise FramingError("a line with a malformed PSGuid arrived", line=line) from error
