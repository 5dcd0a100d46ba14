"""Byte pipes that carry the out-of-process framing of PSRP: the protocol, a local process, a connected stream."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

import psutil

from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.pipe_ends import PolledEnds, ThreadedEnds

_STDERR_LINES = 40
_STDERR_CHARS = 4000
_EXIT_GRACE = 1.0
_KILL_WAIT = 3.0


class Pipe(Protocol):
    """A connected, ordered, two-way byte pipe to something that speaks the out-of-process framing.

    ``send`` and ``receive`` may be called from different threads at the same time, each from one thread at a time.
    """

    @property
    def name(self) -> str:
        """What stands at the other end, for messages; holds no secret."""
        ...

    def send(self, data: bytes, timeout: float) -> None:
        """Send all of ``data`` within ``timeout`` seconds.

        Raises SessionLost when the other end is gone or the time is over.
        """
        ...

    def receive(self, timeout: float) -> bytes | None:
        """Bytes that have arrived, ``b""`` at end of stream, None when ``timeout`` seconds passed without any."""
        ...

    def diagnosis(self) -> str:
        """What the other end said beside the protocol (the tail of its stderr, its exit code); may be empty."""
        ...

    def close(self) -> None:
        """End the other end and free everything, within bounded time.

        Idempotent, from any thread; wakes a waiting receive.
        """
        ...


class ProcessPipe:
    """The stdin and stdout of a process: ``powershell.exe -NoLogo -NoProfile -s``, ``ssh host powershell -s``, any.

    ``env`` is added to the environment. ``threaded`` reads and writes with threads, as Windows needs it, where nothing
    can wait on pipes.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        name: str = "",
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        threaded: bool = sys.platform == "win32",
    ) -> None:
        """Start the process. Raises SessionLost when it cannot be started; ``name`` defaults to the program's."""
        self._name = name or Path(argv[0]).name
        try:
            self._process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={**os.environ, **env} if env else None,
                cwd=cwd,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                start_new_session=sys.platform != "win32",
            )
        except OSError as error:
            raise SessionLost(
                f"{self._name} could not be started: {error.strerror or error}", hint=f"The program is {argv[0]}."
            ) from error
        self._began = _start_time(self._process.pid)
        self._stdin, self._stdout = _present(self._process.stdin), _present(self._process.stdout)
        self._ends = _ends(self._stdout, self._stdin, self._name, threaded=threaded)
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._closing = threading.Lock()
        self._closed = False
        self._listener = threading.Thread(target=self._listen, name=f"{self._name} stderr", daemon=True)
        self._listener.start()

    @property
    def name(self) -> str:
        """The name given, or the program's."""
        return self._name

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, data: bytes, timeout: float) -> None:
        """See `Pipe`. After a time-out a part of ``data`` may have been written: the pipe is of no use any more."""
        try:
            self._ends.send(data, timeout)
        except TimeoutError:
            raise SessionLost(f"{self._name} took no input for {timeout:.3g} s") from None
        except OSError as error:
            self._wait_for_last_words()
            raise SessionLost(f"{self._name} takes no input any more: {error.strerror or error}") from error

    def receive(self, timeout: float) -> bytes | None:
        """See `Pipe`."""
        try:
            data = self._ends.receive(timeout)
        except OSError as error:
            raise SessionLost(f"{self._name} cannot be read any more: {error.strerror or error}") from error
        if data == b"" and not self._closed:
            self._wait_for_last_words()
        return data

    def diagnosis(self) -> str:
        """The tail of stderr, and the exit code once there is one."""
        said = "".join(self._stderr)[-_STDERR_CHARS:].strip()
        code = self._process.poll()
        return "\n".join(filter(None, (said, "" if code is None else f"{self._name} exited with code {code}")))

    def close(self) -> None:
        """See `Pipe`.

        The process gets a second to leave by itself once its input ends; then it and its children are killed.
        """
        with self._closing:
            if self._closed:
                return
            self._closed = True
            family = _family(self._process.pid, self._began)
            if isinstance(self._ends, PolledEnds):
                self._ends.close()
                self._close_streams(self._stdin)
            else:
                self._ends.end_input()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_EXIT_GRACE)
            _kill(family)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILL_WAIT)
            self._ends.close()
            self._listener.join(_KILL_WAIT)
            self._close_streams(self._stdin, self._stdout, _present(self._process.stderr))

    def _close_streams(self, *streams: IO[bytes]) -> None:
        for stream in streams:
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def _wait_for_last_words(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_GRACE)
            self._listener.join(_EXIT_GRACE)

    def _listen(self) -> None:
        try:
            for line in _present(self._process.stderr):
                self._stderr.append(line.decode("utf-8", "replace"))
        except OSError as error:
            self._stderr.append(f"reading stderr of {self._name} failed: {error}\n")


def _ends(stdout: IO[bytes], stdin: IO[bytes], name: str, *, threaded: bool) -> PolledEnds | ThreadedEnds:
    if threaded:
        return ThreadedEnds(stdout, stdin, name=name)
    source, sink = stdout.fileno(), stdin.fileno()
    os.set_blocking(source, False)
    os.set_blocking(sink, False)
    return PolledEnds(functools.partial(os.read, source), functools.partial(os.write, sink), source=source, sink=sink)


def _present(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise AssertionError("the process was started without pipes")
    return stream


def _family(pid: int, began: float) -> list[psutil.Process]:
    """The process and everything it started, also what outlived it.

    Nothing older than it is taken, so an id that was used before cannot match.
    """
    members, family = {pid}, []
    for process in sorted(psutil.process_iter(["create_time"]), key=lambda found: found.info["create_time"] or 0.0):
        with contextlib.suppress(psutil.Error, OSError):
            if process.create_time() >= began and (process.pid == pid or _belongs(process, pid, members)):
                members.add(process.pid)
                family.append(process)
    return family


def _belongs(process: psutil.Process, leader: int, members: set[int]) -> bool:
    if process.ppid() in members:
        return True
    return sys.platform != "win32" and os.getsid(process.pid) == leader


def _start_time(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return time.time() - _EXIT_GRACE


def _kill(family: list[psutil.Process]) -> None:
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=_KILL_WAIT)


class StreamPipe:
    """Any connected stream socket: PowerShell Direct, or the host's end of a virtio-serial port of a QEMU guest."""

    def __init__(self, connected: socket.socket, *, name: str) -> None:
        """Owns the socket from here on."""
        self._socket = connected
        self._name = name
        connected.setblocking(False)
        if connected.family in (socket.AF_INET, socket.AF_INET6):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ends = PolledEnds(connected.recv, connected.send, source=connected.fileno(), sink=connected.fileno())

    @property
    def name(self) -> str:
        """The name given."""
        return self._name

    def send(self, data: bytes, timeout: float) -> None:
        """See `Pipe`. After a time-out a part of ``data`` may have been sent: the pipe is of no use any more."""
        try:
            self._ends.send(data, timeout)
        except TimeoutError:
            raise SessionLost(f"{self._name} took no input for {timeout:.3g} s") from None
        except OSError as error:
            raise SessionLost(f"the connection to {self._name} is gone: {error.strerror or error}") from error

    def receive(self, timeout: float) -> bytes | None:
        """See `Pipe`. A connection that is reset has ended."""
        try:
            return self._ends.receive(timeout)
        except ConnectionError:
            return b""
        except OSError as error:
            raise SessionLost(f"the connection to {self._name} is gone: {error.strerror or error}") from error

    def diagnosis(self) -> str:
        """Nothing: a stream has no second channel."""
        return ""

    def close(self) -> None:
        """See `Pipe`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._ends.close()
        self._socket.close()
