"""What a run keeps of a program's output and what it feeds to its input, whatever road leads to the guest."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from pytest_hyperv.errors import CommandFailed, CommandTimeout
from pytest_hyperv.guest import CommandResult, Output


class OutputCollector:
    """Both streams of one command, bounded."""

    def __init__(self, argv: Sequence[str], limit: int, on_output: Output | None) -> None:
        self._argv = tuple(argv)
        self._limit = limit
        self._on_output = on_output
        self._streams = {1: bytearray(), 2: bytearray()}

    def take(self, stream: int, data: bytes) -> None:
        """Keep a piece and show it to the caller. Raises CommandFailed when a stream grows beyond the limit."""
        kept = self._streams[stream]
        kept += data
        if self._on_output is not None:
            self._on_output(stream, data)
        if len(kept) > self._limit:
            raise CommandFailed(
                f"`{shlex.join(self._argv)}` was killed: it wrote more than {self._limit} bytes "
                f"to std{'out' if stream == 1 else 'err'}",
                hint="let it write to a file and copy that, read it through spawn(), or raise output_limit=",
            )

    def result(self, returncode: int, duration: float) -> CommandResult:
        """How the command ended; ``duration`` in seconds."""
        return CommandResult(self._argv, returncode, bytes(self._streams[1]), bytes(self._streams[2]), duration)

    def out_of_time(self, timeout: float) -> CommandTimeout:
        """The error of a command that was killed after ``timeout`` seconds."""
        return CommandTimeout(
            f"`{shlex.join(self._argv)}` did not end within {timeout:g} s and was killed in the guest",
            hint="raise timeout= if it is only slow",
            timeout=timeout,
            stdout=bytes(self._streams[1]),
            stderr=bytes(self._streams[2]),
        )


def pieces_of(data: bytes | Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of an input that is whole or comes piece by piece, empty ones left out."""
    return (piece for piece in ((data,) if isinstance(data, bytes) else data) if piece)
