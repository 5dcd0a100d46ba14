"""One pipe, one reader thread: packets out under the acknowledgement rule, packets in to the mailbox of their GUID.

psrpcore's pool has no locks; it is touched here only, under one lock. Everything a waiting caller needs comes through
its route, so no caller ever waits on the pipe itself and a deadline always holds.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import psrpcore

from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.framing import SESSION, Control, Data, FramingError, LineParser, Mark, Stream, encode
from pytest_hyperv.psrp.messages import (
    BadFragment,
    Joiner,
    Message,
    bytes_of,
    cut,
    repaired_for_reading,
    repaired_for_sending,
)
from pytest_hyperv.psrp.pipes import Pipe

_POLL = 0.5
_SLICE = 0.05
_OUTPUT = int(psrpcore.types.PSRPMessageType.PipelineOutput.value)


class Deadline:
    """A point in time that waits are cut to."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until it, never below zero."""
        return max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """True when the time is over."""
        return time.monotonic() >= self._end


class DeadlinePassed(Exception):
    """A wait reached its deadline. Never leaves the package: callers turn it into the error that fits."""


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A message for a pipeline that could not be decoded, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Bytes:
    """An output object that is a byte[]."""

    value: bytes


Mail = Control | Undecodable | Bytes | Any
Groups = list[tuple[Stream, list[bytes]]]
"""Payloads of Data packets by the priority they travel with."""


class Route:
    """The mailbox of one GUID, and its window of one unacknowledged Data."""

    def __init__(self, guid: uuid.UUID) -> None:
        self.guid = guid
        self.mail: queue.SimpleQueue[Mail] = queue.SimpleQueue()
        self.window = threading.Lock()
        self.announced = False
        self.signalled = threading.Event()
        self.closed = threading.Event()

    def acknowledged(self) -> None:
        """The outstanding Data was acknowledged; an acknowledgement too many is ignored."""
        if self.window.locked():
            self.window.release()


class Connection:
    """The shared middle of a session.

    ``pool`` is psrpcore's; ``lost`` is why the session ended, None while it lives.
    """

    def __init__(self, pipe: Pipe, pool: psrpcore.ClientRunspacePool) -> None:
        self.pipe = pipe
        self.pool = pool
        self.lost: SessionLost | None = None
        self.session = Route(SESSION)
        self._routes: dict[uuid.UUID, Route] = {SESSION: self.session}
        self._core = threading.Lock()
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._joiner = Joiner()
        self._parser = LineParser()
        self._closing = False
        self._chores: list[threading.Thread] = []
        self._reader = threading.Thread(target=self._read, name=f"psrp reader of {pipe.name}", daemon=True)
        self._reader.start()

    @property
    def routes(self) -> list[Route]:
        """The pipelines that are not closed yet."""
        return [route for guid, route in list(self._routes.items()) if guid != SESSION]

    def add_route(self, guid: uuid.UUID) -> Route:
        """A mailbox for a pipeline that is about to be announced."""
        route = self._routes[guid] = Route(guid)
        return route

    def prepare(self, change: Callable[[psrpcore.ClientRunspacePool], object]) -> Groups:
        """Let ``change`` queue messages in the pool and take them out as the payloads of Data packets."""
        with self._core:
            change(self.pool)
            return self._drain()

    def payloads(self, messages: Iterable[Message]) -> list[bytes]:
        """Messages as the payloads of Data packets, with the next numbers of this session."""
        return cut([repaired_for_sending(replace(message, object_id=next(self._numbers))) for message in messages])

    def _drain(self) -> Groups:
        groups: Groups = []
        while (payload := self.pool.data_to_send()) is not None:
            urgent = payload.stream_type is psrpcore.StreamType.prompt_response
            stream = Stream.PROMPT_RESPONSE if urgent else Stream.DEFAULT
            groups.append((stream, self.payloads(Joiner().feed(payload.data))))
        return groups

    def send(self, *packets: Control | Data, deadline: Deadline) -> None:
        """Put packets on the pipe. Raises SessionLost, or DeadlinePassed when another sender held the pipe too long."""
        data = b"".join(encode(packet) for packet in packets)
        if not self._sending.acquire(timeout=deadline.left):
            raise DeadlinePassed
        try:
            self.check()
            self.pipe.send(data, deadline.left)
        except SessionLost as error:
            self.lose(error)
            raise self.error() from error
        finally:
            self._sending.release()

    def send_data(
        self,
        route: Route,
        payload: bytes,
        *,
        stream: Stream,
        deadline: Deadline,
        unless: Callable[[], bool] = bool,
        beside: tuple[Control, ...] = (),
    ) -> bool:
        """Send one Data once the one before it is acknowledged; False when ``unless()`` became true before that.

        ``beside`` travels in the same piece; it must concern other pipelines.
        """
        while not route.window.acquire(timeout=min(_SLICE, deadline.left)):
            self.check()
            if unless():
                return False
            if deadline.passed:
                raise DeadlinePassed
        self.send(Data(route.guid, payload, stream), *beside, deadline=deadline)
        return True

    def send_groups(
        self,
        route: Route,
        groups: Groups,
        deadline: Deadline,
        unless: Callable[[], bool] = bool,
        beside: tuple[Control, ...] = (),
    ) -> bool:
        """Send what `prepare` gave, packet by packet, the first one with ``beside``.

        False when ``unless()`` cut it short.
        """
        for stream, payload in ((stream, payload) for stream, payloads in groups for payload in payloads):
            if not self.send_data(route, payload, stream=stream, deadline=deadline, unless=unless, beside=beside):
                return False
            beside = ()
        return True

    def next_mail(self, route: Route, deadline: Deadline) -> Mail:
        """The next acknowledgement or event of a route. Raises DeadlinePassed, or SessionLost once all mail is read."""
        try:
            mail = route.mail.get(timeout=deadline.left)
        except queue.Empty:
            self.check()
            raise DeadlinePassed from None
        if mail is None:
            raise self.error()
        return mail

    def check(self) -> None:
        """Raises SessionLost when the session has ended."""
        if self.lost is not None:
            raise self.error()

    def error(self) -> SessionLost:
        """A fresh exception that says why the session ended."""
        lost = self.lost or SessionLost(f"the session with {self.pipe.name} is closed")
        return SessionLost(lost.message, hint=lost.hint)

    def lose(self, reason: SessionLost) -> None:
        """The session has ended: keep the first reason, wake every waiter."""
        with self._core:
            if self.lost is None:
                self.lost = self._explained(reason)
        for route in list(self._routes.values()):
            route.mail.put(None)
            route.signalled.set()
            route.closed.set()

    def _explained(self, reason: SessionLost) -> SessionLost:
        said = "\n".join(part for part in (self.pipe.diagnosis(), self._parser.noise) if part)
        message = reason.message
        if said and said not in message:
            message += f"\nThe other end said:\n{said}"
        hint = reason.hint or ("" if self._closing else "The session is over; open a new one.")
        return SessionLost(message, hint=hint)

    def kill(self, reason: SessionLost) -> None:
        """End the session from our side at once, without waiting for the pipe to be freed."""
        self.lose(reason)
        self._aside(self.pipe.close, "end")

    def close(self, timeout: float) -> None:
        """Free the pipe and the threads within about ``timeout`` seconds; idempotent."""
        self._closing = True
        self.pipe.close()
        self.lose(SessionLost(f"the session with {self.pipe.name} is closed"))
        end = Deadline(timeout)
        for thread in [self._reader, *self._chores]:
            if thread is not threading.current_thread():
                thread.join(end.left)

    def chore(self, work: Callable[[], None], name: str) -> None:
        """Do something that sends and waits without holding up the caller or the reader; failures end the session."""

        def run() -> None:
            try:
                work()
            except (DeadlinePassed, SessionLost) as error:
                reason = (
                    error if isinstance(error, SessionLost) else SessionLost(f"{self.pipe.name} did not answer: {name}")
                )
                self.kill(reason)

        self._aside(run, name)

    def _aside(self, work: Callable[[], None], name: str) -> None:
        self._chores = [thread for thread in self._chores if thread.is_alive()]
        thread = threading.Thread(target=work, name=f"psrp {name}", daemon=True)
        self._chores.append(thread)
        thread.start()

    def _read(self) -> None:
        try:
            while self.lost is None:
                data = self.pipe.receive(_POLL)
                if data is None:
                    continue
                if not data:
                    broken = " in the middle of a line" if self._parser.incomplete else ""
                    raise SessionLost(f"{self.pipe.name} ended the session{broken}")
                for packet in self._parser.feed(data):
                    self._take(packet)
        except FramingError as error:
            self.kill(SessionLost(f"{self.pipe.name} broke the framing: {error.message}", hint=error.hint))
        except SessionLost as error:
            self.kill(error)

    def _take(self, packet: Control | Data) -> None:
        route = self._routes.get(packet.guid)
        if isinstance(packet, Data):
            try:
                messages = self._joiner.feed(packet.payload)
            except BadFragment as error:
                raise FramingError(str(error)) from error
            for message in messages:
                self._deliver(message)
        elif route is not None:
            self._acknowledge(route, packet)

    def _acknowledge(self, route: Route, packet: Control) -> None:
        if packet.mark is Mark.DATA_ACK:
            route.acknowledged()
        elif packet.mark is Mark.SIGNAL_ACK:
            route.signalled.set()
        elif packet.mark is Mark.CLOSE_ACK:
            if route is not self.session:
                self._routes.pop(route.guid, None)
                with self._core:
                    self.pool.pipeline_table.pop(route.guid, None)
                route.mail.put(packet)
            route.signalled.set()
            route.closed.set()
        else:
            route.mail.put(packet)

    def _deliver(self, message: Message) -> None:
        """Decode a message and post its event. One for a pipeline that is closed (a late PipelineState) is dropped."""
        route = self._routes.get(message.pipeline or SESSION)
        if route is None:
            return
        if message.kind == _OUTPUT and (value := bytes_of(message)) is not None:
            route.mail.put(Bytes(value))
            return
        with self._core:
            payload = psrpcore.PSRPPayload(
                repaired_for_reading(message).fragment, psrpcore.StreamType.default, message.pipeline
            )
            try:
                self.pool.receive_data(payload)
                event: Any = self.pool.next_event()
            except Exception as error:  # psrpcore raises whatever its parsers do: XML, type and key errors
                event = Undecodable(f"a message of type {message.kind:#x} could not be decoded: {error!r}")
            replies = self._drain()
        if replies:
            self.chore(lambda: self._reply(route, replies), "answer to a request of the server")
        route.mail.put(event)
        if isinstance(event, psrpcore.RunspacePoolStateEvent) and event.state.name in ("Broken", "Closed"):
            why = f": {event.reason}" if event.reason is not None else ""
            self.lose(SessionLost(f"{self.pipe.name} reported its session {event.state.name.lower()}{why}"))

    def _reply(self, route: Route, replies: Groups) -> None:
        self.send_groups(route, replies, Deadline(30.0))
