"""How a WinRM service or its network can go wrong, on demand."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
from dataclasses import dataclass
from typing import Literal

How = Literal[
    "hang", "slow", "dribble", "garbage", "not-http", "truncated", "reset", "lost-reply", "html", "empty", "unrelated"
]

HOWS: tuple[How, ...] = (
    "hang",
    "slow",
    "dribble",
    "garbage",
    "not-http",
    "truncated",
    "reset",
    "lost-reply",
    "html",
    "empty",
    "unrelated",
)
SLOW_SECONDS = 3.0
_NO_LINGERING = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""Makes a close reset the connection."""
PROCESSED: tuple[How, ...] = ("slow", "dribble", "lost-reply")
"""Those that carry the call out before they go wrong."""
WHOLE: tuple[How, ...] = ("slow", "dribble")
"""Those after which the connection serves on: the whole reply is sent, if late."""


@dataclass(frozen=True)
class Misbehaviour:
    """``how`` to go wrong on the operation ``on`` ("any" for all)."""

    on: str
    how: How


class Schedule:
    """What goes wrong from now on; a misbehaviour with ``times`` left is used up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[tuple[Misbehaviour, int]] = []

    def plan(self, what: Misbehaviour, times: int) -> None:
        """Let ``what`` happen so many times."""
        with self._lock:
            self._planned.append((what, times))

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._planned.clear()

    def next_for(self, operation: str) -> How | None:
        """The misbehaviour that is due for this operation, if any."""
        with self._lock:
            for index, (what, times) in enumerate(self._planned):
                if what.on in (operation, "any"):
                    self._planned[index : index + 1] = [(what, times - 1)] if times > 1 else []
                    return what.how
        return None


def enact(how: How, connection: socket.socket, reply: bytes, ended: threading.Event) -> None:
    """Do to ``connection`` what ``how`` says, with the whole HTTP ``reply`` that was due.

    It is not used after, but for those of ``WHOLE``.
    """
    with contextlib.suppress(OSError):  # the other end may give up first
        if how == "hang":
            connection.settimeout(None)
            connection.recv(1)
        elif how == "slow":
            ended.wait(SLOW_SECONDS)
            connection.sendall(reply)
        elif how == "dribble":
            for position in range(len(reply)):
                if ended.wait(0.1):
                    return
                connection.sendall(reply[position : position + 1])
        elif how == "not-http":
            connection.sendall(b"220 mail.example ESMTP\r\n\r\n")
        elif how == "truncated":
            connection.sendall(reply[:-20])
        elif how in ("reset", "lost-reply"):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
        else:
            connection.sendall(_substitute(how))


def _substitute(how: How) -> bytes:
    status, kind, body = {
        "garbage": ("200 OK", "application/soap+xml;charset=UTF-8", b"\x00\xffnot xml"),
        "html": ("502 Bad Gateway", "text/html", b"<html><body>proxy says no</body></html>"),
        "empty": ("200 OK", "application/soap+xml;charset=UTF-8", b""),
        "unrelated": ("200 OK", "application/soap+xml;charset=UTF-8", b"<a><b/></a>"),
    }[how]
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
