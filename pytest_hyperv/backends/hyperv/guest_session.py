"""Commands and files of a Windows guest over PowerShell: see ``guest.GuestSession``."""

from __future__ import annotations

import datetime
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from pytest_hyperv.backends.hyperv import guest_files, line
from pytest_hyperv.backends.hyperv.guest_process import LineProcess
from pytest_hyperv.backends.hyperv.line import Line, NeverSent
from pytest_hyperv.backends.hyperv.program import OutputLimit, outcome, program_script
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.errors import CommandTimeout, SessionLost
from pytest_hyperv.guest import OUTPUT_LIMIT, CommandResult, FileFacts, Output
from pytest_hyperv.image_files import digest_of
from pytest_hyperv.psrp.calls import Runnable, Script
from pytest_hyperv.psrp.result import PowerShellResult

Result = TypeVar("Result")

GRACE = 30.0
"""Seconds beyond its own time-out until a program counts as one whose guest does not answer."""
PING = 30.0
LARGE = 64 * 1024 * 1024
"""Bytes of a file that is worth another road than the session's 8 to 12 MB/s."""

CopyFile = Callable[[str, str, float], None]
"""Copies a path of the host to a path of the guest within so many seconds. Raises CopyError."""


class Lines(Protocol):
    """Where lines into the guest come from."""

    def main(self) -> Line:
        """The machine's own line, opened again when it has ended."""
        ...

    def another(self) -> Line:
        """One more, for its caller to close."""
        ...

    def drop(self) -> None:
        """End them all; idempotent."""
        ...


class PowerShellGuest:
    """A guest reached by PowerShell: its GuestSession, and its PowerShell session as ``run`` alone.

    ``why`` turns the end of a session into what really happened: the guest's death, if it was that. ``watch`` raises
    when the machine does not run, which a guest that does not answer in time cannot tell.
    """

    streams_input = False

    def __init__(
        self,
        lines: Lines,
        why: Callable[[SessionLost], Exception],
        copy_file: CopyFile | None = None,
        *,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        self._lines, self._why, self._copy_file, self._watch = lines, why, copy_file, watch
        self._lock = threading.RLock()

    # -- PowerShell

    def execute(self, what: Runnable, *, timeout: float) -> PowerShellResult:
        """Run a script or cmdlets in the guest; errors are in the result."""
        return self._with_line(lambda used: line.run(used, what, timeout=timeout))

    # -- programs

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
        """Run a program; see ``GuestSession.run``."""
        data = input if isinstance(input, bytes) or input is None else b"".join(input)
        script = program_script(argv, data=data, cwd=cwd, env=env, timeout=timeout)

        def work(used: Line) -> CommandResult:
            began, streams = time.monotonic(), OutputLimit(argv, output_limit, on_output)
            with line.ending(used.start(script, timeout=timeout + GRACE)) as running:
                for told in running.outputs():
                    streams.take(told)
                return outcome(argv, streams, running.result(), time.monotonic() - began, timeout)

        return self._with_line(work)

    def spawn(
        self, argv: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> LineProcess:
        """Start a program over a line of its own; its standard input is empty. See ``GuestSession.spawn``."""
        script = program_script(argv, data=None, cwd=cwd, env=env, timeout=0.0)
        with self._lock, self._explained():
            return LineProcess(argv, self._lines.another(), script, self._why)

    # -- files

    def stat(self, path: str) -> FileFacts | None:
        """Facts of a path. A Windows file has no permission bits: a read-only one shows 0o444."""
        found = self.execute(Script(text("stat-path"), Path=path), timeout=PING).check().all
        if not found:
            return None
        return FileFacts(found[0].Kind, int(found[0].Length), 0o444 if found[0].ReadOnly else 0o644)

    def make_folder(self, path: str, *, timeout: float) -> None:
        """Make a folder and those above it; one that exists is fine."""
        self.execute(Script(text("make-folder"), Path=path), timeout=timeout).check()

    def scratch_path(self, name: str) -> str:
        """A new path for a file that is soon gone again."""
        return f"C:\\Windows\\Temp\\pytest-hyperv-{uuid.uuid4().hex}-{name}"

    def take_file(self, source: Path, target: str, *, timeout: float) -> bool:
        """A file from `LARGE` bytes on goes through the guest service interface, where this computer is the host."""
        if self._copy_file is None or source.stat().st_size < LARGE:
            return False
        self._copy_file(str(source.absolute()), target, timeout)
        with self._lock, self._explained():
            guest_files.require_digest(self._lines.main(), target, digest_of(source), timeout)
        return True

    def remove_file(self, path: str) -> None:
        """Remove a file."""
        self.execute(Script(text("remove-file"), Path=path), timeout=PING).check()

    def read_file(self, path: str, *, timeout: float) -> Iterator[bytes]:
        """A file's bytes, piece by piece. Raises CopyError."""
        with self._lock, self._explained():
            yield from guest_files.read(self._lines.main(), path, timeout)

    def write_file(self, path: str, data: Iterable[bytes], *, mode: int, timeout: float) -> None:  # noqa: ARG002
        """Put a file in place whole or not at all. Permission bits mean nothing on Windows."""
        with self._lock, self._explained():
            guest_files.write(self._lines.main(), path, data, timeout)

    # -- the session

    def set_clock(self, unix_seconds: float) -> None:
        """Set the guest's clock, in seconds since 1970 UTC."""
        moment = datetime.datetime.fromtimestamp(unix_seconds, datetime.UTC)
        self.execute(Script(text("set-clock"), UtcNow=moment), timeout=PING).check()

    def ping(self, timeout: float) -> None:
        """Ask for a sign of life."""
        self.execute(Script("1"), timeout=timeout).check()

    def abort(self, reason: Exception) -> None:  # noqa: ARG002
        """End the session; calls that wait end with it."""
        self.close()

    def close(self) -> None:
        """End the session; it is opened again when it is needed."""
        self._lines.drop()

    def _with_line(self, work: Callable[[Line], Result]) -> Result:
        """Do ``work`` over the line; again, over a new one, only when nothing had been sent."""
        with self._lock, self._explained():
            try:
                return work(self._lines.main())
            except NeverSent:
                return work(self._lines.main())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SessionLost as lost:
            why = self._why(lost)
            if why is lost:
                raise
            raise why from lost
        except CommandTimeout:
            self._watch()
            raise


class GuestPowerShell:
    """The PowerShell session of a guest, as ``Machine.powershell`` hands it out."""

    def __init__(self, guest: PowerShellGuest) -> None:
        self._guest = guest

    def run(self, what: Runnable, *, timeout: float) -> PowerShellResult:
        """Run a call; errors are in the result. Raises CommandTimeout, SessionLost, GuestCrashed."""
        return self._guest.execute(what, timeout=timeout)
