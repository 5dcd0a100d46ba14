"""A program that runs in a guest behind an SSH connection of its own: see ``guest.GuestProcess``."""

from __future__ import annotations

import contextlib
import os
import queue
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from pytest_hyperv.backends.hyperv.line import NeverSent
from pytest_hyperv.backends.hyperv.ssh_client import SshTarget
from pytest_hyperv.backends.hyperv.ssh_wrapper import BEGINS, ENDED, REFUSED, RUNS, Marked, wrapped
from pytest_hyperv.errors import AccessDenied, CommandFailed, CommandTimeout, HostError, HypervError, SessionLost
from pytest_hyperv.posix_guest import KILL_TREE

PIECE = 1 << 16
QUEUE = 256
"""Pieces of output that wait to be read; then the guest waits."""
LINGER = 1.0
"""Seconds that streams may stay silent after the program ended: something it left behind holds them."""
TAIL = 2000
LAST = 15.0
"""Seconds the client may take to end once it has nothing more to say, and a connection that ends a program may last."""
DENIED = "Permission denied ("
KILLED = 137
"""The exit code of a program that was killed, when its guest could not tell."""


class SshProcess:
    """Raises CommandFailed when the program cannot be started, NeverSent when the guest was not reached, AccessDenied.

    ``input`` says whether it is written to; ``timeout`` is in seconds, for the start alone (CommandTimeout). ``why``
    turns the end of a connection into what really happened.
    """

    def __init__(
        self,
        target: SshTarget,
        argv: Sequence[str],
        *,
        cwd: str | None,
        env: Mapping[str, str] | None,
        input: bool,
        timeout: float,
        why: Callable[[SessionLost], Exception],
    ) -> None:
        self._target, self._argv, self._why = target, tuple(argv), why
        self._marked = Marked()
        self._pieces: queue.Queue[tuple[int, bytes] | None] = queue.Queue(QUEUE)
        self._begun, self._over, self._cut = threading.Event(), threading.Event(), threading.Event()
        self._there, self._group = False, ""
        self._code: int | None = None
        self._refused = ""
        self._failure: Exception | None = None
        self._moved = time.monotonic()
        self._open = 2
        self._lock = threading.Lock()
        self._errors = b""
        self._ssh = _started(
            target.command(wrapped(argv, self._marked.mark, cwd=cwd, env=env), timeout=timeout), input=input
        )
        for number, stream in ((1, self._ssh.stdout), (2, self._ssh.stderr)):
            assert stream is not None
            threading.Thread(target=self._pump, args=(number, stream), daemon=True).start()
        try:
            self._await_begin(timeout)
        except BaseException:
            self.cut()
            raise

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self._over.is_set()

    def read(self, timeout: float | None = None) -> tuple[int, bytes] | None:
        """The next piece of output, or None once both streams ended. Raises CommandTimeout, SessionLost."""
        try:
            piece = self._pieces.get(timeout=timeout)
        except queue.Empty:
            raise CommandTimeout(
                f"`{shlex.join(self._argv)}` wrote nothing for {timeout:g} s", timeout=timeout or 0.0
            ) from None
        if piece is None:
            self._pieces.put(None)
            if self._failure is not None:
                raise self._failure
        return piece

    def write(self, data: bytes) -> None:
        """Send to its standard input; a program that has ended takes nothing."""
        assert self._ssh.stdin is not None
        try:
            self._ssh.stdin.write(data)
            self._ssh.stdin.flush()
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) and not self._over.is_set():
                raise

    def close_stdin(self) -> None:
        """Give it end-of-file."""
        assert self._ssh.stdin is not None
        with contextlib.suppress(OSError):
            self._ssh.stdin.close()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; output that nobody read is dropped. Raises CommandTimeout and leaves it running."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else max(0.001, end - time.monotonic())
            try:
                if self.read(left) is None:
                    break
            except CommandTimeout:
                raise CommandTimeout(
                    f"`{shlex.join(self._argv)}` still runs after {timeout:g} s", timeout=timeout or 0.0
                ) from None
        return KILLED if self._code is None else self._code

    def kill(self) -> None:
        """End it and everything it started; should the guest not answer, its own watch does when the line is cut."""
        if self._group and self._code is None and not self._over.is_set():
            command = self._target.command(["sh", "-c", KILL_TREE, "sh", self._group], timeout=LAST)
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LAST, check=False)
        self._over.wait(LINGER)
        self.cut()

    def cut(self, reason: Exception | None = None) -> None:
        """End the connection, from any thread; calls that wait end with ``reason``. The guest ends what still runs."""
        with self._lock:
            if self._over.is_set():
                return
            self._failure = self._failure or reason
            self._cut.set()
        self._ssh.kill()

    def _await_begin(self, timeout: float) -> None:
        if not self._begun.wait(timeout):
            raise CommandTimeout(
                f"`{shlex.join(self._argv)}` could not be started in the guest in {timeout:g} s", timeout=timeout
            )
        if self._refused:
            raise CommandFailed(f"`{shlex.join(self._argv)}` cannot be run in the guest: {self._refused}")
        if not self._group and self._failure is not None:
            raise self._failure

    def _pump(self, number: int, stream: IO[bytes]) -> None:
        with stream:
            while data := os.read(stream.fileno(), PIECE):
                self._moved = time.monotonic()
                self._take(number, data)
        if number == 2:
            self._pass_on(2, self._marked.rest())
        with self._lock:
            self._open -= 1
            last = self._open == 0
        if last:
            self._finish()

    def _take(self, number: int, data: bytes) -> None:
        if number == 1:
            self._pass_on(1, data)
            return
        for piece in self._marked.split(data):
            if isinstance(piece, str):
                self._hear(piece)
            else:
                self._pass_on(2, piece)

    def _hear(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == BEGINS:
            self._there = True
        elif word == RUNS:
            self._group = rest
            self._begun.set()
        elif word == REFUSED:
            self._refused = rest
            self._begun.set()
        elif word == ENDED:
            self._code = int(rest)
            threading.Thread(target=self._linger, daemon=True).start()

    def _linger(self) -> None:
        """Stop listening to streams that stay open, though silent, after the end."""
        while not self._over.wait(LINGER):
            if self._pieces.empty() and time.monotonic() - self._moved >= LINGER:
                self.cut()
                return

    def _pass_on(self, number: int, data: bytes) -> None:
        if number == 2:
            self._errors = (self._errors + data)[-TAIL:]
            if not self._there:
                return
        while data and not self._cut.is_set():
            try:
                self._pieces.put((number, data), timeout=0.5)
                return
            except queue.Full:
                continue

    def _finish(self) -> None:
        """Both streams are at their end: find out how it ended, and tell whoever waits."""
        try:
            self._ssh.wait(LAST)
        except subprocess.TimeoutExpired:
            self._ssh.kill()
        if self._code is None and not self._refused and not self._cut.is_set():
            self._failure = self._lost()
        with self._lock:
            self._over.set()
        self._begun.set()
        if self._ssh.stdin is not None:
            self.close_stdin()
        while True:
            try:
                self._pieces.put(None, timeout=0.5)
                return
            except queue.Full:
                if self._cut.is_set():
                    with contextlib.suppress(queue.Empty):
                        self._pieces.get_nowait()

    def _lost(self) -> Exception:
        """What the client said when it ended without the program."""
        words = self._errors.decode("utf-8", "replace").strip() or f"ssh returned {self._ssh.returncode}"
        where = f"{self._target.alias} at {self._target.host}"
        if self._there:
            return self._explained(SessionLost(f"the SSH connection to {where} was lost: {words}"))
        if DENIED in words:
            return AccessDenied(
                f"the guest of {where} refused the key {self._target.key} of {self._target.user}: {words}",
                hint="see what the image's `credentials` name (pytest-hyperv images list).",
                host=self._target.alias,
            )
        return NeverSent(f"{where} took no SSH connection: {words}")

    def _explained(self, lost: SessionLost) -> Exception:
        try:
            return self._why(lost)
        except HypervError as error:
            return error


def _started(command: list[str], *, input: bool) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE if input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError:
        raise HostError(
            "the program ssh is not installed on this machine",
            hint="run pytest-hyperv setup; on Windows, add the optional feature OpenSSH Client.",
        ) from None
