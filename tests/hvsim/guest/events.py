"""What a program of a simulated guest does while it runs: output, waits, and at last an exit code."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.hvsim.guest.system import GuestSystem

STDOUT = 1
STDERR = 2
FOREVER = 10.0**9
"""Seconds that no test outlasts."""


@dataclass(frozen=True)
class Out:
    """Bytes on a standard stream: `STDOUT` or `STDERR`."""

    stream: int
    data: bytes


@dataclass(frozen=True)
class Wait:
    """Seconds of the guest's time that pass."""

    seconds: float


Event = Out | Wait
Running = Generator[Event, None, int]
"""A program that runs: it yields events and returns its exit code."""


@dataclass
class Start:
    """A program as it was started. `arguments` is the command line after the program's name.

    `by_shell` says that cmd.exe looks for it, which knows more endings than CreateProcess does; `apart` that the
    program goes on alone with what it starts, and is noted as running by whoever starts it.
    """

    name: str
    arguments: str
    folder: str
    environment: dict[str, str]
    system: GuestSystem
    stdin: bytes = b""
    by_shell: bool = False
    apart: bool = False


Program = Callable[[Start], Running]


@dataclass
class Collected:
    """The output of a program that was run to its end, apart from its waits."""

    code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""


def text(stream: int, *lines: str) -> Iterable[Out]:
    """Whole lines of text; console output of a guest is UTF-8, as after ``chcp 65001``."""
    yield Out(stream, "".join(f"{line}\r\n" for line in lines).encode())


def collect(running: Running) -> Generator[Wait, None, Collected]:
    """Run a program to its end and keep what it writes; its waits are passed on."""
    kept = Collected()
    while True:
        try:
            event = next(running)
        except StopIteration as end:
            kept.code = end.value or 0
            return kept
        if isinstance(event, Wait):
            yield event
        elif event.stream == STDOUT:
            kept.stdout += event.data
        else:
            kept.stderr += event.data
