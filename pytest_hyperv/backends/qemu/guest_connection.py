"""A synchronised stream to the guest's server: requests from any thread, one thread that reads."""

from __future__ import annotations

import itertools
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from pytest_hyperv.backends.qemu.guest_channel import Channel
from pytest_hyperv.backends.qemu.guest_wire import (
    FINAL,
    TOKEN,
    VERSION,
    Decoder,
    Frame,
    Hello,
    Kind,
    Synchroniser,
    WireError,
    encode,
    read_failure,
    read_hello,
    window_payload,
)
from pytest_hyperv.errors import CommandTimeout, GuestError, SessionLost

RECEIVE = 1 << 18
"""Bytes taken from the socket at a time."""

CANCEL_WITHIN = 2.0
"""Seconds a cancelled request may wait for room on the stream to say so."""

LAST_WORDS = 5.0
"""Seconds to read on after a broken stream took no more: what arrived before may name the cause."""


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(deadline - time.monotonic(), 0.0)


@dataclass(frozen=True)
class Listener:
    """Who is told, from the reading thread, how a connection fares.

    ``on_bye``: the guest shuts down orderly. ``explain``: the stream has ended by itself; what it returns is what
    callers get, for the owner may know more than that the stream ended.
    """

    on_bye: Callable[[], None] = lambda: None
    explain: Callable[[SessionLost], Exception] = lambda lost: lost


SILENT = Listener()


class Connection:
    """Owns a connected socket from `connect` until `close`, `abort` or the end of the stream."""

    def __init__(
        self, sock: socket.socket, decoder: Decoder, hello: Hello, waiting: list[Frame], listener: Listener
    ) -> None:
        self.hello = hello
        self.said_bye = False
        self._sock = sock
        self._decoder = decoder
        self._listener = listener
        self._lock = threading.Lock()
        self._channels: dict[int, Channel] = {}
        self._numbers = itertools.count(1)
        self._last = 0
        self._reason: Exception | None = None
        self._sending = threading.Lock()
        self._unsent = b""
        self._reader = threading.Thread(target=self._read, args=(waiting,), name="pytest-hyperv-guest", daemon=True)
        self._reader.start()

    @classmethod
    def connect(cls, sock: socket.socket, timeout: float, listener: Listener) -> Connection:
        """Synchronise with the server at the other end and take the socket over, in one round trip.

        Raises CommandTimeout when it does not answer in ``timeout`` seconds, SessionLost when the stream ends or
        something else answers. The socket stays the caller's then.
        """
        deadline = time.monotonic() + timeout
        synchroniser = Synchroniser(os.urandom(TOKEN))
        decoder = Decoder()
        frames: list[Frame] = []
        try:
            sock.settimeout(max(timeout, 0.001))
            sock.sendall(synchroniser.request)
            synchronised = False
            while not frames:
                sock.settimeout(max(deadline - time.monotonic(), 0.001))
                data = sock.recv(RECEIVE)
                if not data:
                    raise SessionLost("the stream to the guest's server ended while it was being synchronised")
                rest = data if synchronised else synchroniser.feed(data)
                synchronised = rest is not None
                frames += decoder.feed(rest or b"")
            hello = read_hello(frames.pop(0))
        except TimeoutError as error:
            raise CommandTimeout(f"the guest's server did not answer within {timeout:g} s", timeout=timeout) from error
        except (OSError, WireError) as error:
            raise SessionLost(f"no session with the guest's server: {error}") from error
        if hello.version != VERSION:
            raise SessionLost(
                f"the guest's server speaks version {hello.version}, this plugin version {VERSION}",
                hint="the state was saved by another version of pytest-hyperv: build it anew",
            )
        sock.settimeout(None)
        return cls(sock, decoder, hello, frames, listener)

    def open(self, kind: bytes, payload: bytes, deadline: float | None, *, window: int = 0) -> Channel:
        """Send a request. ``window`` repeats what its payload grants the guest, in bytes."""
        with self._lock:
            if self._reason is not None:
                raise self._reason
            self._last = next(self._numbers)
            channel = Channel(kind, self._last, may_send=self.hello.window, may_receive=window)
            self._channels[channel.request] = channel
        try:
            self.send(encode(kind, channel.request, payload), deadline)
        except BaseException:
            self.cancel(channel)
            raise
        return channel

    def send(self, data: bytes, deadline: float | None) -> None:
        """Put whole frames on the stream. Raises TimeoutError at the deadline, the reason when the session ended.

        What a deadline cut off is sent by whoever sends next, so that frames stay whole.
        """
        try:
            self._send_whole(data, deadline)
        except TimeoutError:
            raise
        except OSError as error:
            self._reader.join(LAST_WORDS)
            self.abort(SessionLost(f"the stream to the guest's server broke: {error}"))
            raise self._ended() from error

    def _send_whole(self, data: bytes, deadline: float | None) -> None:
        left = _left(deadline)
        if not self._sending.acquire(timeout=-1 if left is None else left):
            raise TimeoutError
        try:
            self._unsent += data
            while self._unsent:
                if self._reason is not None:
                    raise self._reason
                try:
                    sent = self._sock.send(self._unsent, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    self._wait_for_room(deadline)
                else:
                    self._unsent = self._unsent[sent:]
        finally:
            self._sending.release()

    def _wait_for_room(self, deadline: float | None) -> None:
        room = select.poll()
        room.register(self._sock, select.POLLOUT)
        left = _left(deadline)
        if not room.poll(None if left is None else left * 1000):
            raise TimeoutError

    def consumed(self, channel: Channel, count: int, deadline: float | None) -> None:
        """Tell that ``count`` bytes of a stream were taken, so that the guest may send more."""
        if due := channel.grant_due(count):
            self.send(encode(Kind.WINDOW, channel.request, window_payload(due)), deadline)

    def cancel(self, channel: Channel) -> None:
        """Forget a request; the guest is told to end it unless it already did."""
        with self._lock:
            known = self._channels.pop(channel.request, None)
        if known is not None and not channel.ended:
            self.stop(channel)

    def stop(self, channel: Channel) -> None:
        """Ask the guest to end a request and to answer how it ended."""
        with suppress(GuestError, TimeoutError):
            self.send(encode(Kind.CANCEL, channel.request), time.monotonic() + CANCEL_WITHIN)

    def _read(self, waiting: list[Frame]) -> None:
        reason = SessionLost("the stream to the guest's server ended")
        try:
            self._dispatch(waiting)
            while data := self._sock.recv(RECEIVE):
                self._dispatch(self._decoder.feed(data))
        except OSError as error:
            reason = SessionLost(f"the stream to the guest's server broke: {error}")
        except WireError as error:
            reason = SessionLost(f"the guest sent what its server would not: {error}")
        finally:
            self.abort(reason if self.ended else self._listener.explain(reason))
            with self._sending:
                self._sock.close()

    def _dispatch(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            if frame.request == 0:
                self._hear(frame)
                continue
            with self._lock:
                channel = self._channels.get(frame.request)
                made = frame.request <= self._last
            if channel is not None:
                channel.deliver(frame)
            elif not made:
                raise WireError(f"an answer to request {frame.request}, which nobody made")
            if frame.kind in FINAL:
                with self._lock:
                    self._channels.pop(frame.request, None)

    def _hear(self, frame: Frame) -> None:
        if frame.kind == Kind.BYE:
            self.said_bye = True
            self.abort(SessionLost("the guest shuts down and its server took leave"))
            self._listener.on_bye()
        elif frame.kind == Kind.HELLO:
            self.abort(SessionLost("the guest's server ended and was started anew", hint="connect again"))
        elif frame.kind == Kind.FAILED:
            self.abort(SessionLost(f"the guest's server gave the session up: {read_failure(frame)[1].strip()}"))
        else:
            raise WireError(f"frame {frame.kind!r} belongs to no request")

    @property
    def ended(self) -> bool:
        """Whether calls can no longer be made."""
        return self._reason is not None

    def _ended(self) -> Exception:
        return self._reason or SessionLost("the session with the guest's server ended")

    def abort(self, reason: Exception) -> None:
        """End every waiting call with ``reason``, and every later one too; the first reason counts. From any thread."""
        with self._lock:
            if self._reason is None:
                self._reason = reason
            channels = list(self._channels.values())
            self._channels.clear()
        for channel in channels:
            channel.fail(self._reason)
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the session; when this returns its thread and its socket are gone. Idempotent."""
        self.abort(SessionLost("the session with the guest's server was closed"))
        if threading.current_thread() is not self._reader:
            self._reader.join()
