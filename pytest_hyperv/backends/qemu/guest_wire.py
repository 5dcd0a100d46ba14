"""The bytes between the host and the guest's server, without any input or output.

A frame is ``length`` (u32, bytes of payload), ``request`` (u32), ``kind`` (one ASCII letter), payload; big-endian. The
host opens a request under a number of its own choice; the guest answers under the same. All that either side may send
of a stream is granted beforehand in bytes, by the opening frame or a WINDOW frame; by HELLO for what the host sends.

Synchronisation is not a frame: the host sends SYNC and 16 bytes of token and waits; the guest drops all it had, and
answers SYNCED and the token, then HELLO. SYNC is recognised wherever it comes, so it must not occur in the host's
frames. It cannot span frames or fields, since a length below 2**24 begins with a byte that SYNC holds only before
0xff; inside strings it cannot be, which hold no NUL; and raw data is cut in two where it occurs (`data_frames`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag

VERSION = 1
MAX_FRAME = 1 << 20
"""Bytes of payload neither side exceeds."""

PIECE = 1 << 16
"""Bytes of stream the host sends in one frame."""

SYNC = b"\xff\x00" * 7 + b"\xff\xfe"
SYNCED = b"\xff\x00" * 7 + b"\xff\xfd"
TOKEN = 16
"""Bytes of a synchronisation's token."""

KILLED_BY_TIME = 1
"""Why a program was killed: its time-out."""

_HEADER = struct.Struct(">IIc")
_RUN = struct.Struct(">BII")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_EXIT = struct.Struct(">IB")
_HELLO = struct.Struct(">III")
_FACTS = struct.Struct(">IQ")
_CLOCK = struct.Struct(">qI")


class Kind:
    """The letters of frames. First what the host sends, then what the guest answers, then what both send."""

    PING = b"P"
    RUN = b"R"
    STAT = b"S"
    GET = b"G"
    PUT = b"U"
    CLOCK = b"C"
    CANCEL = b"K"

    HELLO = b"H"
    BEGUN = b"B"
    STDOUT = b"1"
    STDERR = b"2"
    EXIT = b"X"
    DONE = b"Y"
    FAILED = b"F"
    BYE = b"Q"

    DATA = b"D"
    END = b"Z"
    WINDOW = b"W"


FINAL = frozenset((Kind.EXIT, Kind.DONE, Kind.FAILED))
"""Kinds after which a request is over."""

_STREAM = (1, MAX_FRAME)
_FAILURE = (_U32.size, MAX_FRAME)
_INPUT = {Kind.WINDOW: (_U32.size, _U32.size), Kind.FAILED: _FAILURE}

ANSWERS: Mapping[bytes, Mapping[bytes, tuple[int, int]]] = {
    Kind.PING: {Kind.DONE: (0, 0)},
    Kind.RUN: _INPUT
    | {
        Kind.BEGUN: (_U32.size, _U32.size),
        Kind.STDOUT: _STREAM,
        Kind.STDERR: _STREAM,
        Kind.END: (0, 0),
        Kind.EXIT: (_EXIT.size, _EXIT.size),
    },
    Kind.STAT: {Kind.DONE: (_FACTS.size, _FACTS.size), Kind.FAILED: _FAILURE},
    Kind.GET: {Kind.DATA: _STREAM, Kind.DONE: (0, 0), Kind.FAILED: _FAILURE},
    Kind.PUT: _INPUT | {Kind.DONE: (0, 0)},
    Kind.CLOCK: {Kind.DONE: (0, 0), Kind.FAILED: _FAILURE},
}
"""What may answer each request, and the least and most bytes of payload it has."""


class RunFlags(IntFlag):
    """What a RUN frame asks for: an open standard input, and a BEGUN frame once the program runs."""

    STDIN = 1
    CONFIRM = 2


class WireError(Exception):
    """The bytes do not follow the protocol."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. ``kind`` is one of Kind's letters."""

    kind: bytes
    request: int
    payload: bytes


@dataclass(frozen=True)
class Hello:
    """How the guest's server introduces itself. ``window`` is in bytes, ``pid`` its process id in the guest."""

    version: int
    window: int
    pid: int


def encode(kind: bytes, request: int, payload: bytes = b"") -> bytes:
    """One frame's bytes. Raises WireError when the payload is too large for one."""
    if len(payload) > MAX_FRAME:
        raise WireError(f"a frame holds at most {MAX_FRAME} bytes, this one would hold {len(payload)}")
    return _HEADER.pack(len(payload), request, kind) + payload


def data_frames(request: int, data: bytes) -> Iterator[bytes]:
    """DATA frames that carry ``data``, none of them holding SYNC."""
    for start in range(0, len(data), PIECE):
        piece = data[start : start + PIECE]
        while (at := piece.find(SYNC)) >= 0:
            cut = at + len(SYNC) // 2
            yield encode(Kind.DATA, request, piece[:cut])
            piece = piece[cut:]
        yield encode(Kind.DATA, request, piece)


def _string(text: bytes) -> bytes:
    return _U32.pack(len(text)) + text


def run_payload(
    argv: Sequence[bytes], *, flags: RunFlags, timeout: float, window: int, cwd: bytes, env: Mapping[bytes, bytes]
) -> bytes:
    """Payload of RUN: flags u8, timeout u32 (ms, 0 for none), window u32, cwd, count u16, arguments, names and values.

    Strings are u32 length and bytes; an empty cwd is the server's own. Raises WireError when a string holds NUL.
    """
    strings = [*argv, *(part for pair in env.items() for part in pair)]
    if any(b"\0" in text for text in (cwd, *strings)):
        raise WireError("arguments, folders and environment variables cannot hold a NUL character")
    if not 0 < len(argv) < 1 << 16:
        raise WireError(f"a command has 1 to 65535 arguments, this one {len(argv)}")
    head = _RUN.pack(flags, min(max(round(timeout * 1000), 0), 0xFFFFFFFF), window) + _string(cwd)
    return head + _U16.pack(len(argv)) + b"".join(map(_string, strings))


def path_payload(number: int, path: bytes) -> bytes:
    """Payload of GET (number: window in bytes) and PUT (number: permission bits): u32 and the path, without NUL."""
    return _U32.pack(number) + path


def window_payload(count: int) -> bytes:
    """Payload of WINDOW: how many bytes more the other side may send, u32."""
    return _U32.pack(count)


def clock_payload(unix_seconds: float) -> bytes:
    """Payload of CLOCK: seconds since 1970 UTC, i64, and nanoseconds, u32."""
    seconds, fraction = divmod(round(unix_seconds * 1_000_000), 1_000_000)
    return _CLOCK.pack(seconds, fraction * 1000)


def _unpack(layout: struct.Struct, frame: Frame) -> tuple[int, ...]:
    try:
        return layout.unpack(frame.payload)
    except struct.error as error:
        raise WireError(f"frame {frame.kind!r} has {len(frame.payload)} bytes, not {layout.size}") from error


def read_hello(frame: Frame) -> Hello:
    """What a HELLO frame says: version, window, process id, u32 each."""
    return Hello(*_unpack(_HELLO, frame))


def read_exit(frame: Frame) -> tuple[int, int]:
    """What an EXIT frame says: code u32 (128 + N for signal N); why we killed it u8: 0 not, 1 time, 2 CANCEL."""
    code, why = _unpack(_EXIT, frame)
    return code, why


def read_begun(frame: Frame) -> int:
    """The process id a BEGUN frame tells, u32."""
    return _unpack(_U32, frame)[0]


def read_facts(frame: Frame) -> tuple[int, int]:
    """What the DONE frame of a STAT says: st_mode u32 and size in bytes u64."""
    mode, size = _unpack(_FACTS, frame)
    return mode, size


def read_window(frame: Frame) -> int:
    """The bytes a WINDOW frame grants."""
    return _unpack(_U32, frame)[0]


def read_failure(frame: Frame) -> tuple[int, str]:
    """What a FAILED frame says: the guest's errno u32 and its text."""
    if len(frame.payload) < _U32.size:
        raise WireError(f"frame {frame.kind!r} has {len(frame.payload)} bytes, at least {_U32.size} are due")
    (errno,) = _U32.unpack_from(frame.payload)
    return errno, frame.payload[_U32.size :].decode("utf-8", "replace")


class Decoder:
    """Turns the guest's bytes into frames, however they are cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with ``data``. Raises WireError at the first that cannot be one."""
        self._buffer += data
        at = 0
        try:
            while len(self._buffer) - at >= _HEADER.size:
                length, request, kind = _HEADER.unpack_from(self._buffer, at)
                if length > MAX_FRAME:
                    raise WireError(f"not a frame: kind {kind!r}, {length} bytes")
                end = at + _HEADER.size + length
                if end > len(self._buffer):
                    break
                payload = bytes(memoryview(self._buffer)[at + _HEADER.size : end])
                at = end
                yield Frame(kind, request, payload)
        finally:
            del self._buffer[:at]


class Synchroniser:
    """Finds the answer to one synchronisation among whatever else arrives before it."""

    def __init__(self, token: bytes) -> None:
        if len(token) != TOKEN:
            raise WireError(f"a token has {TOKEN} bytes, this one {len(token)}")
        self._answer = SYNCED + token
        self._seen = b""
        self.request = SYNC + token

    def feed(self, data: bytes) -> bytes | None:
        """None until the answer came; then what followed it. Keeps no more than one answer's length."""
        self._seen += data
        before, found, after = self._seen.partition(self._answer)
        if found:
            return after
        self._seen = before[-len(self._answer) + 1 :]
        return None
