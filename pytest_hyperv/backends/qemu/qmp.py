"""One QEMU's monitor: commands from any thread, events as they come, and its end noticed at once.

On the qemu.qmp package.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from qemu.qmp import ConnectError, ExecuteError, QMPClient, QMPError, Runstate

from pytest_hyperv.backends.qemu.io_loop import submit
from pytest_hyperv.errors import MachineError

Event = dict[str, Any]
ANSWER = 30.0
"""Seconds one monitor command may take when nothing else is said; QEMU answers in milliseconds."""


class Monitor:
    """A negotiated QMP connection. The callbacks run on the input/output thread and must not block."""

    def __init__(self, machine: str, on_event: Callable[[Event], None], on_end: Callable[[], None]) -> None:
        self._machine = machine
        self._on_event, self._on_end = on_event, on_end
        self._client = QMPClient(machine)
        self._tasks: list[asyncio.Task[None]] = []
        self._sock: socket.socket | None = None

    def connect(self, sock: socket.socket, timeout: float) -> None:
        """Take over a connected socket and wait for the greeting. Raises MachineError when it does not come."""
        self._sock = sock
        try:
            submit(self._connect(sock), timeout)
        except (ConnectError, TimeoutError, OSError) as error:
            raise MachineError(
                f"the QEMU of {self._machine} ended or stayed silent while it started: {error}", machine=self._machine
            ) from error

    async def _connect(self, sock: socket.socket) -> None:
        await self._client.connect(sock)
        self._tasks = [asyncio.create_task(self._forward()), asyncio.create_task(self._watch())]

    async def _forward(self) -> None:
        async for event in self._client.events:
            self._on_event(dict(event))

    async def _watch(self) -> None:
        while self._client.runstate == Runstate.RUNNING:
            await self._client.runstate_changed()
        while not self._client.events.empty():
            self._on_event(dict(await self._client.events.get()))
        self._on_end()

    def execute(self, command: str, *, timeout: float = ANSWER, **arguments: Any) -> Any:
        """Run one command (underscores in argument names become dashes) and return its answer.

        Raises MachineError when QEMU refuses it, ends, or does not answer in ``timeout`` seconds.
        """
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        try:
            return submit(self._client.execute(command, named), timeout)
        except ExecuteError as error:
            raise MachineError(f"QEMU of {self._machine} refused {command}: {error}", machine=self._machine) from error
        except TimeoutError as error:
            raise MachineError(f"QEMU of {self._machine} did not answer {command}", machine=self._machine) from error
        except (QMPError, OSError) as error:
            raise self._ended_during(command) from error

    def _ended_during(self, command: str) -> MachineError:
        return MachineError(
            f"QEMU of {self._machine} ended during {command}",
            hint="see whether it was killed for want of memory: dmesg, or journalctl -k.",
            machine=self._machine,
        )

    def pass_file(self, fd: int, name: str) -> None:
        """Hand QEMU an open file under ``name``, for use as ``fd:name``; QEMU closes it after that use."""

        sock = self._sock
        assert sock is not None

        async def send() -> None:
            socket.send_fds(sock, [b" "], [fd])

        try:
            submit(send(), ANSWER)
        except OSError as error:
            raise self._ended_during("getfd") from error
        self.execute("getfd", fdname=name)

    def close(self) -> None:
        """End the connection, not the process; idempotent."""
        with suppress(TimeoutError):
            submit(self._close(), ANSWER)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(QMPError, EOFError, OSError):
            await self._client.disconnect()
