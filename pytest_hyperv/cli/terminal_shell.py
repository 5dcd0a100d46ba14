"""A shell on a terminal in a Linux guest, joined to the terminal here: keys go there as they are pressed."""

from __future__ import annotations

import os
import select
import signal
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from pytest_hyperv.cli.guest_streams import PIECE, STDIN
from pytest_hyperv.errors import HypervError
from pytest_hyperv.guest import GuestProcess, GuestSession

STDOUT = 1
END = 10.0
"""Seconds the guest's shell may take to end once there is no more input."""
SHELL = """
HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
export HOME HYPERV_TTY="$1" HYPERV_SIZE="rows $2 cols $3"
cd "$HOME" 2> /dev/null
exec script -qefc 'tty > "$HYPERV_TTY"; stty echo $HYPERV_SIZE; unset HYPERV_TTY HYPERV_SIZE
command -v bash > /dev/null && exec bash -l; exec sh -l' /dev/null
"""
RESIZE = 'stty -F "$(cat "$1")" rows "$2" cols "$3"'


class TerminalShell:
    """``run`` lasts until the shell ends."""

    def __init__(self, session: GuestSession) -> None:
        self._session = session
        self._name = session.scratch_path("tty")
        self._woken, self._wake = os.pipe()
        self._resized = False

    def run(self) -> int:
        """Its exit code. Raises what ended the session."""
        rows, columns = _size()
        process = self._session.spawn(
            ["sh", "-c", SHELL, "sh", self._name, rows, columns], env={"TERM": os.environ.get("TERM", "vt100")}
        )
        reader = threading.Thread(target=self._show, args=(process,), daemon=True)
        try:
            with _raw(), self._told_of_sizes():
                reader.start()
                self._pass_keys(process)
            reader.join(END)
            return process.wait(END)
        finally:
            process.kill()
            with suppress(HypervError):
                self._session.remove_file(self._name)

    def _pass_keys(self, process: GuestProcess) -> None:
        while True:
            ready, _, _ = select.select([STDIN, self._woken], [], [])
            if self._woken in ready and os.read(self._woken, 1) == b"e":
                return
            if self._resized:
                self._resized = False
                self._resize()
            if STDIN in ready:
                keys = os.read(STDIN, PIECE)
                if not keys:
                    process.close_stdin()
                    return
                process.write(keys)

    def _show(self, process: GuestProcess) -> None:
        with suppress(HypervError):
            while (piece := process.read()) is not None:
                data = piece[1]
                while data:
                    data = data[os.write(STDOUT, data) :]
        os.write(self._wake, b"e")

    @contextmanager
    def _told_of_sizes(self) -> Iterator[None]:
        def changed(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signal() calls it
            self._resized = True
            os.write(self._wake, b"r")

        before = signal.signal(signal.SIGWINCH, changed)
        try:
            yield
        finally:
            signal.signal(signal.SIGWINCH, before)

    def _resize(self) -> None:
        with suppress(HypervError):
            self._session.run(["sh", "-c", RESIZE, "sh", self._name, *_size()])


def _size() -> tuple[str, str]:
    size = os.get_terminal_size(STDIN)
    return str(size.lines), str(size.columns)


@contextmanager
def _raw() -> Iterator[None]:
    """Every key as it is pressed, Ctrl-C too, and none of it shown here: the guest's terminal shows it."""
    before = termios.tcgetattr(STDIN)
    tty.setraw(STDIN)
    try:
        yield
    finally:
        termios.tcsetattr(STDIN, termios.TCSADRAIN, before)
