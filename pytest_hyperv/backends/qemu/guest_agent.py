"""The fallback road into a guest: commands and files through the QEMU guest agent, where there is nothing else."""

from __future__ import annotations

import base64
import secrets
import shlex
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from qemu.qmp import QMPClient

from pytest_hyperv.backends.qemu import agent_process
from pytest_hyperv.backends.qemu.agent_channel import AgentChannel, AgentRefused
from pytest_hyperv.backends.qemu.agent_process import ASK, AgentProcess
from pytest_hyperv.backends.qemu.guest_install import install_server as install_server
from pytest_hyperv.errors import CommandFailed, CommandTimeout, CopyError, GuestError, HypervError
from pytest_hyperv.guest import OUTPUT_LIMIT, CommandResult, Output
from pytest_hyperv.guest_stream import OutputCollector, pieces_of
from pytest_hyperv.posix_guest import PosixGuest

PIECE = 1 << 20
"""Bytes of a file in one message; the agent takes and gives far more, but slows down."""

INPUT_LIMIT = 16 * 1024 * 1024
"""Bytes of standard input: the agent takes them in one message with the command."""


class GuestAgent(PosixGuest):
    """Implements GuestSession over the host's socket of the agent's port; the agent may still be starting."""

    streams_input = False

    def __init__(self, sock: socket.socket) -> None:
        self._channel = AgentChannel(sock)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes | Iterable[bytes] | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        on_output: Output | None = None,
        output_limit: int = OUTPUT_LIMIT,
    ) -> CommandResult:
        """Run a program without a shell. After ``timeout`` seconds it is killed in the guest: CommandTimeout.

        The agent shows output only at the end, keeps at most 16 MiB a stream (CommandFailed beyond), and takes at most
        16 MiB of input. With ``cwd`` or ``env`` a program that does not exist returns 127 instead of CommandFailed.
        """
        started = time.monotonic()
        output = OutputCollector(argv, output_limit, on_output)
        pid = agent_process.start(self._channel, argv, input=_whole(input, argv), cwd=cwd, env=env, timeout=timeout)
        try:
            ended = agent_process.wait(self._channel, pid, max(started + timeout - time.monotonic(), 0.001))
        except CommandTimeout:
            agent_process.kill_tree(self._channel, pid)
            self._collect(pid, output)
            raise output.out_of_time(timeout) from None
        except KeyboardInterrupt:
            agent_process.kill_tree(self._channel, pid)
            raise
        _take(output, ended)
        if ended.truncated:
            raise CommandFailed(
                f"`{shlex.join(argv)}` wrote more than the guest agent keeps of a stream (16 MiB)",
                hint="let it write to a file and copy that",
                result=output.result(ended.returncode, time.monotonic() - started),
            )
        return output.result(ended.returncode, time.monotonic() - started)

    def _collect(self, pid: int, output: OutputCollector) -> None:
        _take(output, agent_process.wait(self._channel, pid, ASK))

    def spawn(
        self, argv: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> AgentProcess:
        """Start a program and return while it runs. Raises CommandFailed when it cannot be started.

        Its output comes when it ended, and its standard input is empty: the agent can do no more.
        """
        return AgentProcess(self._channel, argv, agent_process.start(self._channel, argv, cwd=cwd, env=env))

    def read_file(self, path: str, *, timeout: float) -> Iterator[bytes]:
        """A file's bytes, piece by piece, all within ``timeout`` seconds. Raises CopyError."""
        deadline = time.monotonic() + timeout
        handle = self._file("read", path, deadline, "guest-file-open", path=path, mode="rb")
        try:
            while True:
                answer = self._file("read", path, deadline, "guest-file-read", handle=handle, count=PIECE)
                if piece := base64.b64decode(answer["buf-b64"]):
                    yield piece
                if answer["eof"] or not piece:
                    return
        finally:
            self._close(handle)

    def write_file(self, path: str, data: Iterable[bytes], *, mode: int, timeout: float) -> None:
        """Put a file in place whole or not at all, folders above it included. Raises CopyError."""
        deadline = time.monotonic() + timeout
        folder, slash, _ = path.rpartition("/")
        temporary = f"{folder}{slash}.pytest-hyperv.{secrets.token_hex(6)}"
        self._shell("write", path, 'mkdir -p -- "${1:-/}"', folder if slash else ".")
        try:
            handle = self._file("write", path, deadline, "guest-file-open", path=temporary, mode="wb")
            try:
                for piece in pieces_of(data):
                    self._write_piece(path, handle, piece, deadline)
            except BaseException:
                self._close(handle)
                raise
            self._file("write", path, time.monotonic() + ASK, "guest-file-close", handle=handle)
            self._shell("write", path, 'chmod -- "$1" "$2" && mv -fT -- "$2" "$3"', f"{mode:o}", temporary, path)
        except BaseException:
            with suppress(HypervError):
                self._shell("write", path, 'rm -f -- "$1"', temporary)
            raise

    def _write_piece(self, path: str, handle: int, piece: bytes, deadline: float) -> None:
        for start in range(0, len(piece), PIECE):
            part = piece[start : start + PIECE]
            while part:
                encoded = base64.b64encode(part).decode("ascii")
                answer = self._file(
                    "write", path, deadline, "guest-file-write", **{"handle": handle, "buf-b64": encoded}
                )
                part = part[answer["count"] :]

    def set_clock(self, unix_seconds: float) -> None:
        """Set the guest's clock, in seconds since 1970 UTC. Raises GuestError when the guest refuses."""
        try:
            self._execute("guest-set-time", ASK, time=round(unix_seconds * 1_000_000) * 1000)
        except AgentRefused as error:
            raise GuestError(f"the guest's clock cannot be set: {error.message}") from error

    def ping(self, timeout: float) -> None:
        """Ask for a sign of life. Raises CommandTimeout or SessionLost."""
        self._execute("guest-ping", timeout)

    def abort(self, reason: Exception) -> None:
        """End every waiting call with ``reason``, and every later one too. From any thread."""
        self._channel.abort(reason)

    def close(self) -> None:
        """End the session and free what it holds; idempotent. What runs in the guest goes on."""
        self._channel.close()

    def _execute(self, command: str, timeout: float, **arguments: object) -> Any:
        async def ask(client: QMPClient) -> object:
            return await client.execute(command, arguments)

        return self._channel.perform(ask, timeout)

    def _close(self, handle: int) -> None:
        """The agent's own end of a file; when the session is lost, that loss is what the caller hears about."""
        with suppress(HypervError):
            self._execute("guest-file-close", ASK, handle=handle)

    def _file(self, verb: str, target: str, deadline: float, command: str, /, **arguments: object) -> Any:
        try:
            return self._execute(command, max(deadline - time.monotonic(), 0.001), **arguments)
        except (AgentRefused, CommandTimeout) as error:
            raise CopyError(f"cannot {verb} {target} in the guest: {error.message}", path=target) from error

    def _shell(self, verb: str, path: str, script: str, *arguments: str) -> None:
        result = self.run(["/bin/sh", "-c", script, "sh", *arguments], timeout=ASK)
        if result.returncode != 0:
            raise CopyError(f"cannot {verb} {path} in the guest: {result.stderr.strip()}", path=path)


def _whole(input: bytes | Iterable[bytes] | None, argv: Sequence[str]) -> bytes:
    whole = bytearray()
    for piece in pieces_of(input or b""):
        whole += piece
        if len(whole) > INPUT_LIMIT:
            raise CommandFailed(
                f"`{shlex.join(argv)}` cannot be given more than {INPUT_LIMIT} bytes of input through the guest agent",
                hint="copy the input into the guest as a file",
            )
    return bytes(whole)


def _take(output: OutputCollector, ended: agent_process.Ended) -> None:
    for stream, data in ((1, ended.stdout), (2, ended.stderr)):
        if data:
            output.take(stream, data)
