"""Programs through the QEMU agent's guest-exec: their output comes at the end, and the agent must be asked for it."""

from __future__ import annotations

import asyncio
import base64
import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qemu.qmp import QMPClient

from pytest_hyperv.backends.qemu.agent_channel import AgentChannel, AgentRefused
from pytest_hyperv.errors import CommandFailed, CommandTimeout, GuestError
from pytest_hyperv.posix_guest import KILL_TREE

FIRST_LOOK = 0.002
LAST_LOOK = 0.1
"""Seconds between looks at a running program: the first pause, and the longest it grows to."""

ASK = 30.0
"""Seconds the agent may take for a command of its own."""

IN_FOLDER = 'cd -- "$1" || exit 126; shift; exec env "$@"'
"""The agent knows no working folder, and its environment replaces instead of adding: a shell and env do both."""


@dataclass(frozen=True)
class Ended:
    """How a program ended: exit code (128 + N for signal N), both streams, and whether the agent cut them at 16 MiB."""

    returncode: int
    stdout: bytes
    stderr: bytes
    truncated: bool


def start(
    channel: AgentChannel,
    argv: Sequence[str],
    *,
    input: bytes = b"",
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = ASK,
) -> int:
    """Start a program and return its process id. Raises CommandFailed when the agent cannot."""
    if not argv:
        raise CommandFailed("a command needs at least the program's name")
    if any("\0" in part for part in argv):
        raise CommandFailed(f"`{shlex.join(argv)}` cannot be sent to the guest: it holds a NUL character")
    whole = list(argv)
    if cwd is not None or env:
        whole = ["/bin/sh", "-c", IN_FOLDER, "sh", cwd or ".", *(f"{k}={v}" for k, v in (env or {}).items()), *argv]
    arguments: dict[str, object] = {"path": whole[0], "arg": whole[1:], "capture-output": True}
    if input:
        arguments["input-data"] = base64.b64encode(input).decode("ascii")

    async def begin(client: QMPClient) -> int:
        answer: Any = await client.execute("guest-exec", arguments)
        return int(answer["pid"])

    try:
        return channel.perform(begin, timeout)
    except AgentRefused as error:
        raise CommandFailed(f"`{shlex.join(argv)}` cannot be run in the guest: {error.message}") from error


def wait(channel: AgentChannel, pid: int, timeout: float) -> Ended:
    """Wait until a program ended; the agent forgets it then. Raises CommandTimeout and leaves it running."""

    async def look(client: QMPClient) -> Ended:
        pause = FIRST_LOOK
        while True:
            answer: Any = await client.execute("guest-exec-status", {"pid": pid})
            if answer["exited"]:
                return _ended(answer)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LAST_LOOK)

    return channel.perform(look, timeout)


def _ended(answer: Mapping[str, Any]) -> Ended:
    code = 128 + int(answer["signal"]) if "signal" in answer else int(answer.get("exitcode", 0))
    streams = [base64.b64decode(answer.get(name, "")) for name in ("out-data", "err-data")]
    truncated = bool(answer.get("out-truncated") or answer.get("err-truncated"))
    return Ended(code, streams[0], streams[1], truncated)


def kill_tree(channel: AgentChannel, pid: int) -> None:
    """Kill a program and its descendants; orphans that left the family are not found this way."""
    wait(channel, start(channel, ["/bin/sh", "-c", KILL_TREE, "sh", str(pid)]), ASK)


class AgentProcess:
    """Implements GuestProcess as far as the agent can: output at the end, no standard input."""

    def __init__(self, channel: AgentChannel, argv: Sequence[str], pid: int) -> None:
        self.argv = tuple(argv)
        self.pid = pid
        self._channel = channel
        self._looking = threading.Lock()
        self._ended: Ended | None = None
        self._unread: list[tuple[int, bytes]] = []

    def read(self, timeout: float | None = None) -> tuple[int, bytes] | None:
        """The next piece of output as (1 or 2, bytes) once the program ended; None after it. Raises CommandTimeout."""
        self._finish(timeout)
        with self._looking:
            return self._unread.pop(0) if self._unread else None

    def write(self, data: bytes) -> None:
        """Raises GuestError: the agent has no way to send input to a running program."""
        raise GuestError(
            f"cannot send {len(data)} bytes to `{shlex.join(self.argv)}`: through the guest agent a running program "
            "has no standard input",
            hint="use run(input=...), or an image with perl, where the guest's server takes the agent's place",
        )

    def close_stdin(self) -> None:
        """Nothing to do: the program reads end-of-file from the start."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code (128 + N when signal N ended it). Raises CommandTimeout and leaves it running."""
        return self._finish(timeout).returncode

    def kill(self) -> None:
        """End it and its descendants."""
        if self._ended is None:
            kill_tree(self._channel, self.pid)

    def _finish(self, timeout: float | None) -> Ended:
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._looking.acquire(timeout=-1 if timeout is None else timeout):
            raise self._late(timeout)
        try:
            while self._ended is None:
                left = ASK if deadline is None else deadline - time.monotonic()
                try:
                    self._ended = wait(self._channel, self.pid, max(left, 0.001))
                except CommandTimeout:
                    if deadline is not None:
                        raise self._late(timeout) from None
                else:
                    pairs = ((1, self._ended.stdout), (2, self._ended.stderr))
                    self._unread = [pair for pair in pairs if pair[1]]
            return self._ended
        finally:
            self._looking.release()

    def _late(self, timeout: float | None) -> CommandTimeout:
        return CommandTimeout(
            f"`{shlex.join(self.argv)}` did not end within {timeout or 0:g} s; it still runs", timeout=timeout or 0.0
        )
