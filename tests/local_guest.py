"""A guest that is a folder of this machine: the same session protocol, real processes, no virtual machine.

Relative paths are below the folder, absolute ones are this machine's own.
"""

from __future__ import annotations

import os
import queue
import stat
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from pytest_hyperv.errors import CommandFailed, CommandTimeout, CopyError
from pytest_hyperv.guest import OUTPUT_LIMIT, CommandResult, FileFacts, Output
from pytest_hyperv.posix_guest import PosixGuest

PIECE = 1 << 16


class LocalProcess:
    """A program of this machine, read as a guest's would be."""

    def __init__(self, argv: Sequence[str], folder: Path, env: Mapping[str, str] | None) -> None:
        try:
            self._process = subprocess.Popen(
                argv,
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise CommandFailed(f"{argv[0]} cannot be started: {error.strerror}") from error
        self._pieces: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()
        self._open = 2
        for number, stream in ((1, self._process.stdout), (2, self._process.stderr)):
            assert stream is not None
            threading.Thread(target=self._pump, args=(number, stream), daemon=True).start()

    def _pump(self, number: int, stream: IO[bytes]) -> None:
        with stream:
            while piece := os.read(stream.fileno(), PIECE):
                self._pieces.put((number, piece))
        self._pieces.put(None)

    def read(self, timeout: float | None = None) -> tuple[int, bytes] | None:
        """The next piece of output, None once both streams ended."""
        while self._open:
            try:
                piece = self._pieces.get(timeout=timeout)
            except queue.Empty:
                raise CommandTimeout("no output in time", timeout=timeout or 0.0) from None
            if piece is not None:
                return piece
            self._open -= 1
        return None

    def write(self, data: bytes) -> None:
        """Send to the program's standard input; one that has ended does not take it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def close_stdin(self) -> None:
        """Give the program end-of-file."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise CommandTimeout("the program did not end in time", timeout=timeout or 0.0) from None
        return code if code >= 0 else 128 - code

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


class LocalSession(PosixGuest):
    """A session whose guest is the folder ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ended: Exception | None = None

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
        """Run a program; its output is kept whole as long as it is within the limit."""
        self._alive()
        process = LocalProcess(argv, self.root / (cwd or ""), env)
        streams = {1: b"", 2: b""}
        try:
            for piece in [input] if isinstance(input, bytes) else input or ():
                process.write(piece)
            process.close_stdin()
            while (came := process.read(timeout)) is not None:
                streams[came[0]] += came[1]
                if on_output is not None:
                    on_output(*came)
                if len(streams[came[0]]) > output_limit:
                    raise CommandFailed(f"{argv[0]} wrote more than {output_limit} bytes")
            return CommandResult(tuple(argv), process.wait(timeout), streams[1], streams[2], 0.0)
        except BaseException:
            process.kill()
            raise

    def spawn(
        self, argv: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> LocalProcess:
        """Start a program and return while it runs."""
        self._alive()
        return LocalProcess(argv, self.root / (cwd or ""), env)

    def stat(self, path: str) -> FileFacts | None:
        """Facts of a path, a link not followed."""
        self._alive()
        try:
            facts = os.lstat(os.path.join(self.root, path))  # noqa: PTH118 - a Path drops a final "/."
        except OSError:
            return None
        mode = facts.st_mode
        if stat.S_ISREG(mode):
            return FileFacts("file", facts.st_size, stat.S_IMODE(mode))
        if stat.S_ISDIR(mode):
            return FileFacts("directory", facts.st_size, stat.S_IMODE(mode))
        return FileFacts("symlink" if stat.S_ISLNK(mode) else "other", facts.st_size, stat.S_IMODE(mode))

    def read_file(self, path: str, *, timeout: float) -> Iterator[bytes]:  # noqa: ARG002 - a local file does not wait
        """A file's bytes."""
        self._alive()
        try:
            yield (self.root / path).read_bytes()
        except OSError as error:
            raise CopyError(f"{path}: {error.strerror}", path=path) from error

    def write_file(self, path: str, data: Iterable[bytes], *, mode: int, timeout: float) -> None:  # noqa: ARG002
        """Put a file in place."""
        self._alive()
        target = self.root / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"".join(data))
            target.chmod(mode)
        except OSError as error:
            raise CopyError(f"{path}: {error.strerror}", path=path) from error

    def set_clock(self, unix_seconds: float) -> None:
        """This machine's clock is right."""

    def ping(self, timeout: float) -> None:  # noqa: ARG002 - it answers at once or never
        """A sign of life."""
        self._alive()

    def abort(self, reason: Exception) -> None:
        """End every later call with ``reason``."""
        self._ended = reason

    def close(self) -> None:
        """Nothing is held."""

    def _alive(self) -> None:
        if self._ended is not None:
            raise self._ended
