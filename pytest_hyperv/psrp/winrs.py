"""WinRS as a pipe: one shell on a WinRM service, one process in it, its stdin and stdout.

Facts: MS-WSMV 3.1.4.11 (Command), 3.1.4.12 (Signal), 3.1.4.13 (Send), 3.1.4.14 (Receive); pywinrm 0.5.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import tenacity
from winrm.exceptions import WSManFaultError
from winrm.protocol import Protocol

from pytest_hyperv.errors import HostUnreachable, HypervError, SessionLost
from pytest_hyperv.psrp.winrm_connection import WinRMConnection
from pytest_hyperv.psrp.winrm_faults import HostNotReached, ShellGone
from pytest_hyperv.psrp.winrm_target import WinRMTarget
from pytest_hyperv.psrp.winrs_pace import ReceivePace

SEND_SIZE = 98_304
"""Bytes of one Send: in base64 and with its envelope it stays below the service's limit of 153,600."""

_UTF8_CODEPAGE = 65001
_BUFFERED = 16 << 20
_STDERR_KEPT = 4096
_CLOSE_PATIENCE = 4.0
_LAST_SEND = 0.2
_LAST_WORDS = 2.0
_LAST_RECEIVE = 0.5


def open_winrs(target: WinRMTarget, command: Sequence[str], *, timeout: float = 60.0, attempts: int = 3) -> WinRSPipe:
    """Start ``command`` on the target within ``timeout`` seconds and return the pipe to it.

    Only a TCP connection that could not be made is tried again, ``attempts`` times in all: nothing was sent then.
    Raises HostUnreachable (no connection, no trust in its certificate, no answer), AccessDenied (credentials or
    rights), HostError (quota of shells, any other fault), SettingsError (missing package).
    """
    deadline = time.monotonic() + timeout
    sender = WinRMConnection(target)
    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(HostNotReached),
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_after_delay(timeout),
        wait=tenacity.wait_exponential(multiplier=0.1, max=2.0),
        reraise=True,
    )
    try:
        shell = again(lambda: sender.call("open a shell", _open_shell, _left(deadline)))
        try:
            process = sender.call("start " + command[0], _start(shell, command), _left(deadline))
        except HypervError:
            _delete_shell(sender, shell, max(1.0, deadline - time.monotonic()))
            raise
    except BaseException:
        sender.close()
        raise
    return WinRSPipe(target, sender, shell, process, name=f"{command[0]} on {target.host} (WinRS)")


class WinRSPipe:
    """A :class:`~pytest_hyperv.psrp.pipes.Pipe` to a process in a WinRM shell; made by :func:`open_winrs`.

    A thread keeps a Receive waiting at the service, which also keeps the shell from idling out; it is held back for
    milliseconds only, while an answer is coming together.
    ``receive`` ends with ``b""`` for an exit as for a loss; ``diagnosis`` tells which.
    """

    def __init__(self, target: WinRMTarget, sender: WinRMConnection, shell: str, process: str, *, name: str) -> None:
        self._name = name
        self._sender, self._receiver = sender, WinRMConnection(target)
        self._target, self._shell, self._process = target, shell, process
        self._pace = ReceivePace()
        self._sending = threading.Lock()
        self._news = threading.Condition()
        self._arrived: deque[bytes] = deque()
        self._buffered = 0
        self._ended = False
        self._closing = False
        self._stderr = b""
        self._exit_code: int | None = None
        self._troubles: list[str] = []
        self._thread = threading.Thread(target=self._keep_receiving, name=f"winrs {target.host}", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """The program and the host."""
        return self._name

    @property
    def requests_made(self) -> int:
        """HTTP requests made so far in both directions."""
        return self._sender.requests_made + self._receiver.requests_made

    def send(self, data: bytes, timeout: float) -> None:
        """Write to the process's stdin within ``timeout`` seconds. A Send is never repeated: it may have been taken."""
        deadline = time.monotonic() + timeout
        with self._sending:
            for start in range(0, len(data), SEND_SIZE):
                if self._ended or self._closing:
                    raise SessionLost(f"{self._name} must be running to be sent to, it has ended. {self.diagnosis()}")
                piece = data[start : start + SEND_SIZE]
                try:
                    self._pace.send_begins(len(data))
                    self._sender.call("send to the process", self._put(piece), _left(deadline))
                    self._pace.send_ended(len(data))
                except HypervError as error:
                    raise self._lost(error, deadline) from error

    def _lost(self, error: HypervError, deadline: float) -> SessionLost:
        """What to raise for a Send that failed; a service that refused it has more to say through the Receive."""
        if isinstance(error.__cause__, WSManFaultError):
            self._pace.release()
            with self._news:
                self._news.wait_for(lambda: self._ended or self._closing, min(_LAST_WORDS, _left(deadline)))
        said = self.diagnosis()
        message = f"{self._name} was lost: {error.message}" + (f". {said}" if said else "")
        return SessionLost(message, hint=error.hint)

    def receive(self, timeout: float) -> bytes | None:
        """What the process wrote to stdout; ``b""`` when it or the connection has ended, None when nothing came."""
        with self._news:
            self._news.wait_for(lambda: self._arrived or self._ended or self._closing, timeout)
            if self._arrived and not self._closing:
                data = self._arrived.popleft()
                self._buffered -= len(data)
                self._news.notify_all()
                return data
            return b"" if self._ended or self._closing else None

    def diagnosis(self) -> str:
        """The tail of the process's stderr, its exit code, and why the connection was lost, as far as known."""
        with self._news:
            stderr = self._stderr.decode("utf-8", "replace").strip()
            parts = [f"stderr: {stderr}"] if stderr else []
            parts += [f"exit code {self._exit_code}"] if self._exit_code is not None else []
            return "; ".join([*parts, *self._troubles])

    def close(self) -> None:
        """End the process and delete the shell, within 5 seconds even if the service does not answer."""
        with self._news:
            if self._closing:
                return
            self._closing = True
            self._news.notify_all()
        self._pace.release()
        deadline = time.monotonic() + _CLOSE_PATIENCE
        free = self._sending.acquire(timeout=_LAST_SEND)
        if not free:
            self._sender.cut()
            free = self._sending.acquire(timeout=_LAST_SEND)
        closer = self._sender if free else WinRMConnection(self._target)
        try:
            self._end_shell(closer, deadline)
        finally:
            closer.close()
            if free:
                self._sending.release()
        self._thread.join(_LAST_RECEIVE)
        while self._thread.is_alive() and time.monotonic() < deadline + _LAST_RECEIVE:
            self._receiver.cut()
            self._thread.join(_LAST_RECEIVE / 10)

    def _end_shell(self, connection: WinRMConnection, deadline: float) -> None:
        """Signal and Delete; what fails is kept for the diagnosis."""
        try:
            connection.call("end the process", self._terminate, _left(deadline) / 2)
        except HypervError as error:
            self._troubles.append(error.message)
        trouble = _delete_shell(connection, self._shell, _left(deadline))
        self._troubles += [trouble] if trouble else []

    def _keep_receiving(self) -> None:
        try:
            while not self._closing and self._receive_once():
                pass
        except HypervError as error:
            with self._news:
                if not self._closing:
                    self._troubles.append(str(error))
        finally:
            self._receiver.close()
            with self._news:
                self._ended = True
                self._news.notify_all()

    def _receive_once(self) -> bool:
        """One Receive; whether there is more to come."""
        self._pace.wait()
        output = self._receiver.poll("receive from the process", self._take)
        if output is None:
            return True
        stdout, stderr, exit_code, done = output
        self._pace.received(len(stdout))
        with self._news:
            self._stderr = (self._stderr + stderr)[-_STDERR_KEPT:]
            if done:
                self._exit_code = exit_code
            if stdout:
                self._arrived.append(stdout)
                self._buffered += len(stdout)
                self._news.notify_all()
            self._news.wait_for(lambda: self._buffered < _BUFFERED or self._closing)
        return not done

    def _put(self, piece: bytes) -> Callable[[Protocol], None]:
        return lambda protocol: protocol.send_command_input(self._shell, self._process, piece)

    def _take(self, protocol: Protocol) -> tuple[bytes, bytes, int, bool]:
        return protocol.get_command_output_raw(self._shell, self._process)

    def _terminate(self, protocol: Protocol) -> None:
        protocol.cleanup_command(self._shell, self._process)


def _open_shell(protocol: Protocol) -> str:
    return protocol.open_shell(codepage=_UTF8_CODEPAGE)


def _start(shell: str, command: Sequence[str]) -> Callable[[Protocol], str]:
    arguments = [subprocess.list2cmdline(command[1:])] if len(command) > 1 else []
    return lambda protocol: protocol.run_command(shell, command[0], arguments, console_mode_stdin=False)


def _delete_shell(connection: WinRMConnection, shell: str, timeout: float) -> str:
    """Delete it; says what went wrong, since the caller is on its way out. A lost Delete is repeated, that is safe."""
    deadline = time.monotonic() + timeout
    twice = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(HostUnreachable),
        stop=tenacity.stop_after_attempt(2) | tenacity.stop_after_delay(timeout),
        reraise=True,
    )

    def delete(protocol: Protocol) -> None:
        protocol.close_shell(shell, close_session=False)

    try:
        twice(lambda: connection.call("delete the shell", delete, _left(deadline)))
    except ShellGone:
        return ""
    except HypervError as error:
        return error.message
    return ""


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())
