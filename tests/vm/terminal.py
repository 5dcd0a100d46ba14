"""A terminal with a program on it, as a person would have."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60.0


class Terminal:
    """``seen`` is all that was shown, control sequences taken out."""

    def __init__(self, argv: Sequence[str], folder: Path) -> None:
        self._screen, keyboard = pty.openpty()
        self.resize(24, 80, tell=False)
        self.process = subprocess.Popen(
            argv,
            cwd=folder,
            stdin=keyboard,
            stdout=keyboard,
            stderr=keyboard,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm"},
        )
        os.close(keyboard)
        self.seen = ""
        self._read = 0

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._screen, keys.encode())

    def resize(self, rows: int, columns: int, *, tell: bool = True) -> None:
        """Give the window another size."""
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            os.kill(self.process.pid, signal.SIGWINCH)

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until something is shown, after what was waited for before."""
        end = time.monotonic() + PATIENCE
        while (found := re.compile(pattern).search(self.seen, self._read)) is None:
            ready, _, _ = select.select([self._screen], [], [], max(end - time.monotonic(), 0))
            assert ready, f"{pattern!r} was not shown after: {self.seen[self._read :]!r}"
            try:
                data = os.read(self._screen, 4096)
            except OSError:  # nobody has the terminal open any more
                data = b""
            assert data, f"the program ended before it showed {pattern!r}: {self.seen[self._read :]!r}"
            self.seen += re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", data.decode("utf-8", "replace"))
        self._read = found.end()
        return found

    def close(self) -> None:
        """End the program, if it has not, as a window does that is closed."""
        os.close(self._screen)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)


@contextmanager
def terminal(argv: Sequence[str], folder: Path) -> Iterator[Terminal]:
    """A terminal that is closed in the end."""
    opened = Terminal(argv, folder)
    try:
        yield opened
    finally:
        opened.close()
