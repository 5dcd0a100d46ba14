"""Commands and files of a Linux guest over SSH: see ``guest.GuestSession``. Each command is a connection of its own."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from pytest_hyperv.backends.hyperv.line import NeverSent
from pytest_hyperv.backends.hyperv.ssh_client import SshTarget
from pytest_hyperv.backends.hyperv.ssh_process import SshProcess
from pytest_hyperv.errors import (
    CommandFailed,
    CommandTimeout,
    CopyError,
    GuestError,
    HypervError,
    MachineError,
    SessionLost,
)
from pytest_hyperv.guest import OUTPUT_LIMIT, CommandResult, Output
from pytest_hyperv.guest_stream import OutputCollector, pieces_of
from pytest_hyperv.posix_guest import PosixGuest

ASK = 60.0
"""Seconds a program that only looks or tidies up may take."""
START = 60.0
"""Seconds a program that is spawned may take to be started."""
SILENCE = 10.0
"""Seconds without output after which the machine is looked at."""

PUT = """
mkdir -p -- "${1:-/}" && umask 077 && cat > "$2" || { code=$?; rm -f -- "$2"; exit "$code"; }
if [ "$(tail -c 32 -- "$2" | tr -d '\\0')" = "$5" ]; then
  truncate -s -32 -- "$2" && chmod -- "$4" "$2" && mv -fT -- "$2" "$3" && exit
  rm -f -- "$2"
else
  rm -f -- "$2"
  echo 'not all of it arrived' >&2
fi
exit 1
"""
"""Arguments: folder, temporary file, file, mode, the 32 characters that follow the file's bytes: standard input ends
when the connection does, too."""


class Reach(Protocol):
    """Where the guest is."""

    def target(self) -> SshTarget:
        """Where it takes connections; waits for a guest that boots. Raises BootTimeout, AccessDenied, MachineError."""
        ...

    def forget(self) -> None:
        """It is not there any more."""
        ...


class SshGuest(PosixGuest):
    """A guest that ``reach`` finds. ``watch`` raises when its machine has died; ``why`` explains a lost connection."""

    def __init__(self, reach: Reach, *, watch: Callable[[], None], why: Callable[[SessionLost], Exception]) -> None:
        self._reach, self._watch, self._why = reach, watch, why
        self._lock = threading.Lock()
        self._running: set[SshProcess] = set()
        self._aborted: Exception | None = None

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

        An iterable ``input`` is drawn from as fast as the program reads. More than ``output_limit`` bytes on one
        stream end the program: CommandFailed, as when it cannot be started at all. What it leaves in the background
        goes on, and holds the call for at most a few seconds.
        """
        began = time.monotonic()
        deadline = began + timeout
        output = OutputCollector(argv, output_limit, on_output)
        try:
            process = self._started(argv, cwd=cwd, env=env, input=input is not None, timeout=timeout)
        except CommandTimeout:
            raise output.out_of_time(timeout) from None
        try:
            feeder = None if input is None else _Feeder(process, input)
            while (piece := self._next(process, deadline)) is not None:
                output.take(*piece)
            code = process.wait()
            if feeder is not None:
                feeder.check()
            return output.result(code, time.monotonic() - began)
        except CommandTimeout:
            process.kill()
            raise output.out_of_time(timeout) from None
        except (SessionLost, MachineError):
            raise
        except BaseException:
            process.kill()
            raise
        finally:
            self._done_with(process)

    def spawn(self, argv: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None) -> SshProcess:
        """Start a program and return while it runs. Raises CommandFailed when it cannot be started."""
        return self._started(argv, cwd=cwd, env=env, input=True, timeout=START)

    def read_file(self, path: str, *, timeout: float) -> Iterator[bytes]:
        """A file's bytes, piece by piece, all within ``timeout`` seconds. Raises CopyError."""
        deadline = time.monotonic() + timeout
        process = self._started(["cat", "--", path], cwd=None, env=None, input=False, timeout=timeout)
        errors = b""
        try:
            while (piece := self._next(process, deadline)) is not None:
                if piece[0] == 1:
                    yield piece[1]
                else:
                    errors += piece[1]
            if process.wait() != 0:
                raise CopyError(f"cannot read {path} in the guest: {_words(errors)}", path=path)
        except CommandTimeout as late:
            raise CopyError(f"cannot read {path} in the guest: {late.message}", path=path) from late
        finally:
            self._done_with(process)

    def write_file(self, path: str, data: Iterable[bytes], *, mode: int, timeout: float) -> None:
        """Put a file in place whole or not at all, folders above it included. Raises CopyError.

        A connection that is lost meanwhile may leave a part of it beside the place, named ``.pytest-hyperv.*``.
        """
        folder, slash, _ = path.rpartition("/")
        temporary = f"{folder}{slash}.pytest-hyperv.{secrets.token_hex(6)}"
        end = secrets.token_hex(16)
        command = ["sh", "-c", PUT, "sh", folder if slash else ".", temporary, path, f"{mode:o}", end]
        try:
            done = self.run(command, input=itertools.chain(pieces_of(data), [end.encode()]), timeout=timeout)
        except BaseException as error:
            if not isinstance(error, SessionLost):
                with suppress(HypervError):
                    self.remove_file(temporary)
            if isinstance(error, (CommandTimeout, CommandFailed)):
                raise CopyError(f"cannot write {path} in the guest: {error.message}", path=path) from error
            raise
        if done.returncode != 0:
            raise CopyError(f"cannot write {path} in the guest: {_words(done.stderr_bytes)}", path=path)

    def set_clock(self, unix_seconds: float) -> None:
        """Set the guest's clock, in seconds since 1970 UTC. Raises GuestError when the guest refuses."""
        done = self.run(["date", "-u", "-s", f"@{unix_seconds:.3f}"], timeout=ASK)
        if done.returncode != 0:
            raise GuestError(
                f"the guest's clock cannot be set: {_words(done.stderr_bytes)}", hint="the account must be root."
            )

    def ping(self, timeout: float) -> None:
        """Ask for a sign of life. Raises CommandTimeout or SessionLost."""
        self.greet(self._reach.target(), timeout)

    def greet(self, target: SshTarget, timeout: float) -> None:
        """Have the guest at ``target`` run a program. Raises CommandTimeout, NeverSent, AccessDenied."""
        end = time.monotonic() + timeout
        process = SshProcess(target, ["true"], cwd=None, env=None, input=False, timeout=timeout, why=self._why)
        try:
            process.wait(max(0.001, end - time.monotonic()))
        finally:
            process.cut()

    def abort(self, reason: Exception) -> None:
        """End every waiting call with ``reason``, and every later one too. From any thread."""
        self._aborted = reason
        self._cut_all(reason)

    def close(self) -> None:
        """End what runs; idempotent. The next call connects anew."""
        self._cut_all(SessionLost("the session was closed"))

    def _started(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None,
        env: Mapping[str, str] | None,
        input: bool,
        timeout: float,
    ) -> SshProcess:
        """Start a program; again, once the guest is found anew, when nothing had been sent."""

        def start() -> SshProcess:
            if self._aborted is not None:
                raise self._aborted
            target = self._reach.target()
            return SshProcess(target, argv, cwd=cwd, env=env, input=input, timeout=timeout, why=self._why)

        try:
            try:
                process = start()
            except NeverSent:
                self._reach.forget()
                process = start()
        except SessionLost as lost:
            why = self._why(lost)
            if why is lost:
                raise
            raise why from lost
        with self._lock:
            self._running = {other for other in self._running if not other.ended} | {process}
        if self._aborted is not None:
            process.cut(self._aborted)
        return process

    def _next(self, process: SshProcess, deadline: float) -> tuple[int, bytes] | None:
        """The next piece; a machine that died while nothing came ends the wait. Raises CommandTimeout."""
        while True:
            left = deadline - time.monotonic()
            try:
                return process.read(max(0.001, min(left, SILENCE)))
            except CommandTimeout:
                if left <= SILENCE:
                    raise
                self._watch()

    def _done_with(self, process: SshProcess) -> None:
        process.cut()
        with self._lock:
            self._running.discard(process)

    def _cut_all(self, reason: Exception) -> None:
        with self._lock:
            running, self._running = self._running, set()
        for process in running:
            process.cut(reason)


class _Feeder:
    """Gives a program its input from a thread of its own."""

    def __init__(self, process: SshProcess, data: bytes | Iterable[bytes]) -> None:
        self._process, self._data = process, data
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what kept the input from being given."""
        if self._failure is not None:
            raise self._failure

    def _feed(self) -> None:
        try:
            for piece in pieces_of(self._data):
                if self._process.ended:
                    return
                self._process.write(piece)
            self._process.close_stdin()
        except BaseException as error:
            self._failure = error
            self._process.kill()


def _words(text: bytes) -> str:
    return text.decode("utf-8", "replace").strip() or "it gave no reason"
