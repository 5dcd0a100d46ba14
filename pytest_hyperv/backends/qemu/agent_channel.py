"""The wire to a guest's QEMU agent: one synchronised qemu.qmp client, usable from any thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import secrets
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from qemu.qmp import ConnectError, ExecInterruptedError, ExecuteError, QMPClient, QMPError

from pytest_hyperv.backends.qemu.io_loop import event_loop, submit
from pytest_hyperv.errors import CommandTimeout, GuestError, SessionLost

T = TypeVar("T")

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer: both streams of a command, 16 MiB each at most, in base64."""

LEAVE = 5.0
"""Seconds the client may take to let go of its socket."""

Work = Callable[[QMPClient], Coroutine[Any, Any, T]]


class AgentRefused(GuestError):
    """The agent answered a command with an error, in its own words."""


class AgentChannel:
    """Owns the host's socket of the agent's port. The agent need not run yet: each call tries to reach it anew."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._client: QMPClient | None = None
        self._reaching = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reason: Exception | None = None
        self._closed = False

    def perform(self, work: Work[T], timeout: float) -> T:
        """Run a coroutine with the client.

        Raises CommandTimeout at the deadline, AgentRefused for the agent's own errors, SessionLost when the stream
        ended, and the reason once aborted.
        """
        try:
            return submit(self._guarded(work), timeout)
        except TimeoutError:
            raise CommandTimeout(f"the guest agent did not answer within {timeout:g} s", timeout=timeout) from None
        except concurrent.futures.CancelledError:
            raise self._reason or SessionLost("the session with the guest agent ended") from None
        except ExecuteError as error:
            raise AgentRefused(f"the guest agent refused: {error}") from error
        except (ExecInterruptedError, ConnectError, QMPError, OSError) as error:
            raise self._reason or SessionLost(f"the stream to the guest agent ended: {error}") from error

    async def _guarded(self, work: Work[T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        if self._reason is not None:
            raise self._reason
        self._tasks.add(task)
        try:
            return await work(await self._reached())
        finally:
            self._tasks.discard(task)

    async def _reached(self) -> QMPClient:
        async with self._reaching:
            if self._client is None:
                await self._synchronise()
                client = QMPClient("guest agent", readbuflen=ANSWER_LIMIT)
                client.await_greeting = client.negotiate = False
                await client.connect(self._sock)
                self._client = client
            return self._client

    async def _synchronise(self) -> None:
        """Skip what the channel still holds for others: the answer that matters follows a byte 0xff.

        The first byte sent, 0xff too, ends a command that somebody else left unfinished (QEMU's documentation of
        guest-sync-delimited).
        """
        loop = asyncio.get_running_loop()
        number = secrets.randbits(48)
        question = {"execute": "guest-sync-delimited", "arguments": {"id": number}}
        await loop.sock_sendall(self._sock, b"\xff" + json.dumps(question).encode() + b"\n")
        seen = b""
        while True:
            data = await loop.sock_recv(self._sock, 65536)
            if not data:
                raise SessionLost("the stream to the guest agent ended while it was being synchronised")
            *lines, seen = (seen + data).split(b"\n")
            if any(_answers(line, number) for line in lines):
                return

    def abort(self, reason: Exception) -> None:
        """End every waiting call with ``reason``, and every later one too; the first reason counts. From any thread."""
        if self._reason is None:
            self._reason = reason
        event_loop().call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    def close(self) -> None:
        """End the session and free the socket. Idempotent."""
        self.abort(SessionLost("the session with the guest agent was closed"))
        if self._closed:
            return
        self._closed = True
        submit(self._leave(), LEAVE)
        self._sock.close()

    async def _leave(self) -> None:
        if self._client is not None:
            with suppress(QMPError, EOFError, OSError):
                await self._client.disconnect()


def _answers(line: bytes, number: int) -> bool:
    _, delimiter, text = line.rpartition(b"\xff")
    if not delimiter:
        return False
    try:
        answer = json.loads(text)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("return") == number
