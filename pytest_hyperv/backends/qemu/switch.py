"""A network switch between machines, within this process: frames go from card to card, and nowhere else.

A card is one end of a pair of connected sockets, so there is no address, port or path that anybody else could open. The
framing is QEMU's own, of ``-netdev socket`` (net/socket.c, net/net.c): four bytes with the length, the highest first,
then the Ethernet frame. Guests are not trusted: what does not fit in a bounded buffer is dropped, as on any switch.
"""

from __future__ import annotations

import contextlib
import queue
import selectors
import socket
import threading
from collections.abc import Iterator

HEAD = 4
SHORTEST = 14
"""Bytes of an Ethernet header: destination, source, type."""
LONGEST = 4096 + 65536
"""Bytes of the longest frame that QEMU sends or takes (NET_BUFSIZE)."""
PIECE = 1 << 16
"""Bytes read at a time from one card, so that each gets its turn."""
BACKLOG = 1 << 20
"""Bytes that wait for a card that is slow; frames beyond are dropped."""
KNOWN = 1024
"""Addresses that are remembered; all are forgotten when there are more, and frames go everywhere until seen again."""


class _Port:
    """A machine's card, and what waits to go to it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.came = bytearray()
        self.waiting = bytearray()

    def frames(self) -> Iterator[bytes]:
        """The whole frames that came, each with its head. Raises ValueError when what came is no frame."""
        place = 0
        while len(self.came) - place >= HEAD:
            length = int.from_bytes(self.came[place : place + HEAD], "big")
            if not SHORTEST <= length <= LONGEST:
                raise ValueError(f"a frame of {length} bytes")
            end = place + HEAD + length
            if end > len(self.came):
                break
            yield bytes(self.came[place:end])
            place = end
        del self.came[:place]

    def give(self, frame: bytes) -> None:
        """Have a frame go out, unless too much waits already."""
        if len(self.waiting) + len(frame) <= BACKLOG:
            self.waiting += frame

    def flush(self) -> None:
        """Send what the socket takes now. Raises OSError when the other end is gone."""
        with contextlib.suppress(BlockingIOError):
            while self.waiting:
                del self.waiting[: self.sock.send(self.waiting)]


class Switch:
    """Carries frames between the cards attached to it, on a thread of its own, until it is closed."""

    def __init__(self, name: str) -> None:
        self._arriving: queue.SimpleQueue[socket.socket | None] = queue.SimpleQueue()
        self._bell, self._rung = socket.socketpair()
        self._ports: set[_Port] = set()
        self._places: dict[bytes, _Port] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._rung, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name=f"pytest-hyperv-{name}", daemon=True)
        self._thread.start()

    def attach(self, sock: socket.socket) -> None:
        """Take over a card's socket. It is let go of when its other end closes, or speaks what is no frame."""
        sock.setblocking(False)
        self._say(sock)

    def close(self) -> None:
        """Cut all machines off, and end the thread; idempotent."""
        if self._thread.is_alive():
            self._say(None)
            self._thread.join()

    def _say(self, word: socket.socket | None) -> None:
        self._arriving.put(word)
        self._bell.send(b"!")

    def _run(self) -> None:
        while True:
            for key, ready in self._selector.select():
                port = key.data
                if port is None:
                    if not self._take_in():
                        self._end()
                        return
                elif port in self._ports:
                    self._serve(port, ready)

    def _take_in(self) -> bool:
        """Attach those that arrived; False when it is time to end."""
        for _ in self._rung.recv(PIECE):
            sock = self._arriving.get()
            if sock is None:
                return False
            port = _Port(sock)
            self._ports.add(port)
            self._selector.register(sock, selectors.EVENT_READ, port)
        return True

    def _serve(self, port: _Port, ready: int) -> None:
        touched = {port}
        try:
            if ready & selectors.EVENT_READ:
                piece = port.sock.recv(PIECE)
                if not piece:
                    raise ConnectionError("the machine has ended")
                port.came += piece
                for frame in port.frames():
                    touched |= self._carry(frame, port)
        except BlockingIOError:
            pass
        except (OSError, ValueError):
            self._drop(port)
        for each in touched & self._ports:
            self._flush(each)

    def _carry(self, frame: bytes, sender: _Port) -> set[_Port]:
        """Give a frame to the port of its destination, or to all others when that is not known: those it went to.

        The lowest bit of an address' first byte marks a group (IEEE 802, 8.2.2).
        """
        target, source = frame[HEAD : HEAD + 6], frame[HEAD + 6 : HEAD + 12]
        if not source[0] & 1:
            if len(self._places) >= KNOWN:
                self._places.clear()
            self._places[source] = sender
        known = None if target[0] & 1 else self._places.get(target)
        takers = self._ports - {sender} if known is None else {known} - {sender}
        for port in takers:
            port.give(frame)
        return takers

    def _flush(self, port: _Port) -> None:
        try:
            port.flush()
        except OSError:
            self._drop(port)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if port.waiting else 0)
        if self._selector.get_key(port.sock).events != wanted:
            self._selector.modify(port.sock, wanted, port)

    def _drop(self, port: _Port) -> None:
        self._ports.discard(port)
        self._places = {address: place for address, place in self._places.items() if place is not port}
        self._selector.unregister(port.sock)
        port.sock.close()

    def _end(self) -> None:
        for port in list(self._ports):
            self._drop(port)
        while not self._arriving.empty():
            late = self._arriving.get()
            if late is not None:
                late.close()
        self._selector.close()
        self._bell.close()
        self._rung.close()
