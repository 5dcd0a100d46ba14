"""What a session into a guest can do, and what its commands leave behind. All roads implement ``GuestSession``."""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol
from weakref import ref

from pytest_hyperv.errors import CommandFailed
from pytest_hyperv.plain_text import one_line, plain

TAIL = 2000
"""How many characters of each stream a message quotes."""
COMMAND_TAIL = 1000
"""How many characters of the command line it quotes."""
SHOWN = 230
"""Length of a result's repr: pytest cuts what is longer than 240 characters in its middle."""
COMMAND_SHOWN = 80
"""How many characters of it are for the command line."""

OUTPUT_LIMIT = 64 * 1024 * 1024
"""How many bytes of each stream a run keeps when nothing else is said."""

Output = Callable[[int, bytes], None]
"""Called with 1 (stdout) or 2 (stderr) and the bytes, as they come."""


@dataclass(frozen=True)
class CommandResult:
    """How a guest command ended. True when it returned 0. ``duration`` is in seconds, as the host saw it."""

    argv: tuple[str, ...]
    returncode: int
    stdout_bytes: bytes = field(repr=False)
    stderr_bytes: bytes = field(repr=False)
    duration: float

    @property
    def stdout(self) -> str:
        """Standard output as text; what is not UTF-8 is replaced."""
        READ_LAST.append(ref(self))
        return self.stdout_bytes.decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        """Standard error as text; what is not UTF-8 is replaced."""
        READ_LAST.append(ref(self))
        return self.stderr_bytes.decode("utf-8", "replace")

    def __bool__(self) -> bool:
        return self.returncode == 0

    def __repr__(self) -> str:
        """Short enough for pytest to show whole in a failed assertion: see ``SHOWN``."""
        told = f"`{one_line(shlex.join(self.argv), COMMAND_SHOWN)}` returned {self.returncode} {self._after()}"
        streams = [
            (name, data) for name, data in (("stderr", self.stderr_bytes), ("stdout", self.stdout_bytes)) if data
        ]
        for number, (name, data) in enumerate(streams):
            told += f"; {name} {_end(data, (SHOWN - len(told)) // (len(streams) - number) - len(name) - 3)}"
        return f"<{told}>"

    def _after(self) -> str:
        return f"after {self.duration:.2f} s"

    def explain(self) -> str:
        """The command, its exit code, its time and the tail of both streams, as a failed assertion shows them.

        Control characters of the guest are written as escapes.
        """
        command = plain(shlex.join(self.argv))
        if len(command) > COMMAND_TAIL:
            command = f"{command[:COMMAND_TAIL]}..."
        lines = [f"`{command}` returned {self.returncode} {self._after()}"]
        return "\n".join([*lines, *_tail("stdout", self.stdout_bytes), *_tail("stderr", self.stderr_bytes)])

    def check(self) -> CommandResult:
        """This result, when the command returned 0. Raises CommandFailed with both streams otherwise."""
        if self.returncode != 0:
            raise CommandFailed(self.explain(), result=self)
        return self


def _text_end(data: bytes) -> tuple[str, bool]:
    """The last TAIL characters of a stream, and whether there are more."""
    text = data[-4 * TAIL :].decode("utf-8", "replace")
    return text[-TAIL:], len(data) > 4 * TAIL or len(text) > TAIL


def _tail(name: str, data: bytes) -> list[str]:
    text, cut = _text_end(data)
    if not text.strip():
        return []
    return [f"{name}{' (its end)' if cut else ''}:", *("  " + line for line in plain(text.rstrip()).splitlines())]


def _end(data: bytes, room: int) -> str:
    """The end of a stream, quoted, in at most ``room`` characters."""
    text, cut = _text_end(data)
    if not cut and len(repr(text)) <= room:
        return repr(text)
    text = text[-room:]
    while len(repr(text)) + 3 > room and text:
        text = text[1:]
    return f"...{text!r}"


READ_LAST: deque[ref[CommandResult]] = deque(maxlen=2)
"""The results whose output was last read as text: where the sides of a failed comparison may come from."""


@dataclass(frozen=True)
class FileFacts:
    """What a guest says of one path. ``mode`` holds the permission bits, ``size`` is in bytes."""

    kind: Literal["file", "directory", "symlink", "other"]
    size: int
    mode: int


class GuestProcess(Protocol):
    """A program that runs in the guest."""

    def read(self, timeout: float | None = None) -> tuple[int, bytes] | None:
        """The next piece of output as (1 or 2, bytes), or None once both streams ended. Raises CommandTimeout."""
        ...

    def write(self, data: bytes) -> None:
        """Send to the program's standard input."""
        ...

    def close_stdin(self) -> None:
        """Give the program end-of-file on its standard input."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code (128 + N when signal N ended it). Raises CommandTimeout and leaves it running."""
        ...

    def kill(self) -> None:
        """End it and everything it started."""
        ...


class GuestSession(Protocol):
    """Commands and files into one guest.

    Every call ends at its deadline, or at once when the guest dies (GuestCrashed) or the session does (SessionLost).
    Paths are the guest's own.
    """

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
        stream end the program: CommandFailed, as when it cannot be started at all.
        """
        ...

    def spawn(
        self, argv: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> GuestProcess:
        """Start a program and return while it runs. Raises CommandFailed when it cannot be started."""
        ...

    @property
    def streams_input(self) -> bool:
        """Whether a spawned program can be written to."""
        ...

    def make_folder(self, path: str, *, timeout: float) -> None:
        """Make a folder and those above it; one that exists is fine. Raises CommandFailed."""
        ...

    def scratch_path(self, name: str) -> str:
        """A path for a file that is soon removed again; another one at each call."""
        ...

    def remove_file(self, path: str) -> None:
        """Remove a file. Raises CommandFailed."""
        ...

    def stat(self, path: str) -> FileFacts | None:
        """Facts of a path, a link not followed; None when nothing is there."""
        ...

    def read_file(self, path: str, *, timeout: float) -> Iterator[bytes]:
        """A file's bytes, piece by piece. Raises CopyError."""
        ...

    def write_file(self, path: str, data: Iterable[bytes], *, mode: int, timeout: float) -> None:
        """Put a file in place whole or not at all, folders above it included. Raises CopyError."""
        ...

    def take_file(self, source: Path, target: str, *, timeout: float) -> bool:
        """Put a large file of this computer in place by a faster road than `write_file`; False when there is none.

        Raises CopyError.
        """
        ...

    def set_clock(self, unix_seconds: float) -> None:
        """Set the guest's clock, in seconds since 1970 UTC."""
        ...

    def ping(self, timeout: float) -> None:
        """Ask for a sign of life. Raises CommandTimeout or SessionLost."""
        ...

    def abort(self, reason: Exception) -> None:
        """End every waiting call with ``reason``, and every later one too. From any thread."""
        ...

    def close(self) -> None:
        """End the session and free what it holds; idempotent."""
        ...
