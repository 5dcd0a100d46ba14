"""What a test did to its machine, as it happened: every command and copy, with both ends of what it said.

What is kept is bounded in each command and in all, however much a guest says.
"""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pytest_hyperv.errors import GuestCrashed, HypervError
from pytest_hyperv.guest import Output
from pytest_hyperv.plain_text import last_lines, one_line, plain
from pytest_hyperv.redaction import Redactor, secret_values

HEAD, TAIL = 2048, 4096
"""Bytes kept of the beginning and of the end of each stream of one command."""
COMMAND = 4096
"""Characters kept of one command line."""
ENTRIES = 400
"""How many things done are kept, the last ones."""
TOTAL = 1024 * 1024
"""Characters of the whole transcript, the last ones."""
RUNNING = "did not end"
STREAMS = {1: "stdout", 2: "stderr"}


@dataclass(frozen=True)
class ConsoleMark:
    """Where a console ended when a test began; ``start`` is how it began then."""

    length: int = 0
    start: str = ""

    @classmethod
    def of(cls, text: str) -> ConsoleMark:
        """The end of ``text``."""
        return cls(len(text), text[:HEAD])

    def is_beginning_of(self, text: str) -> bool:
        """Whether ``text`` is the console of the mark, later; its beginning may have been lost meanwhile."""
        return len(text) >= self.length and text.startswith(self.start)


class Ends:
    """The beginning and the end of a stream."""

    __slots__ = ("_head", "_tail", "size")

    def __init__(self) -> None:
        self.size = 0
        self._head, self._tail = bytearray(), bytearray()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ends) and (self.size, self._head, self._tail) == (
            other.size,
            other._head,
            other._tail,
        )

    __hash__ = None  # type: ignore[assignment]

    def take(self, data: bytes) -> None:
        """The next piece."""
        self.size += len(data)
        room = HEAD - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail += data[-TAIL:]
            if len(self._tail) > 4 * TAIL:
                del self._tail[:-TAIL]

    def text(self, redactor: Redactor) -> str:
        """Both ends, redacted, with a line that says what is missing between them."""
        tail = bytes(self._tail[-TAIL:])
        missing = self.size - len(self._head) - len(tail)
        if not missing:
            return redactor.text((bytes(self._head) + tail).decode("utf-8", "replace"))
        head = redactor.text(self._head.decode("utf-8", "replace"), cut_end=True)
        return f"{head}\n[{missing} bytes left out]\n{redactor.text(tail.decode('utf-8', 'replace'), cut_start=True)}"


class Entry:
    """One thing done. ``at`` is in seconds since the test began; ``times`` how often it went the same way in a row."""

    def __init__(self, what: str, text: str, at: float) -> None:
        self.what, self.text, self.at = what, text[:COMMAND], at
        self.cut = len(text) > COMMAND
        self.end, self.duration, self.times = RUNNING, 0.0, 1
        self.streams = {1: Ends(), 2: Ends()}

    def take(self, stream: int, data: bytes) -> None:
        """A piece of output."""
        self.streams[stream].take(data)

    def is_like(self, other: Entry) -> bool:
        """Whether both went the same way."""
        mine, theirs = (self.what, self.text, self.end), (other.what, other.text, other.end)
        return mine == theirs and self.streams == other.streams and self.end != RUNNING

    def headline(self, redactor: Redactor) -> str:
        """What was done, and how it ended."""
        text = redactor.text(self.text, cut_end=self.cut) + ("..." if self.cut else "")
        again = f", {self.times} times" if self.times > 1 else ""
        return f"+{self.at:.2f} s {self.what} {text}\n=> {redactor.text(self.end)} after {self.duration:.2f} s{again}"


class Transcript:
    """The things done since ``begin``; ``since`` is when that was, in seconds since 1970.

    With ``kept`` False nothing is remembered but whether a crash was told.
    """

    def __init__(self, *, kept: bool = True) -> None:
        self._kept = kept
        self.begin()

    def begin(self, console: str = "") -> None:
        """A test begins: forget the one before. ``console`` is what the machine's console said until now."""
        self.console_before = ConsoleMark.of(console)
        self._began, self.since = time.monotonic(), time.time()
        self._entries: deque[Entry] = deque(maxlen=ENTRIES)
        self._count = 0
        self.crash_told = False
        self.secrets: set[str] = set()

    @contextmanager
    def doing(self, what: str, text: str, secret: Mapping[str, object] | None = None) -> Iterator[Entry]:
        """Remember what happens inside. ``secret``: named values, of which some may have to be hidden."""
        began = time.monotonic()
        entry = Entry(what, text, began - self._began)
        if self._kept:
            self._add(entry, secret or {})
        try:
            yield entry
            if entry.end == RUNNING:
                entry.end = "done"
        except BaseException as error:
            self.crash_told |= isinstance(error, GuestCrashed)
            message = error.message if isinstance(error, HypervError) else str(error)
            entry.end = f"{type(error).__name__}: {one_line(message.partition(chr(10))[0], 300)}"
            raise
        finally:
            entry.duration = time.monotonic() - began
            self._join_repeated(entry)

    def open(self, what: str, text: str, secret: Mapping[str, object] | None = None) -> Entry:
        """Remember something that goes on; the entry is to be filled by whoever sees it."""
        entry = Entry(what, text, time.monotonic() - self._began)
        if self._kept:
            self._add(entry, secret or {})
        return entry

    def ended(self, entry: Entry, how: str) -> None:
        """What was open is over."""
        entry.end, entry.duration = how, time.monotonic() - self._began - entry.at

    @contextmanager
    def noting_crash(self) -> Iterator[None]:
        """Remember when the guest's death is told to the test inside."""
        try:
            yield
        except GuestCrashed:
            self.crash_told = True
            raise

    def listening(self, entry: Entry, also: Output | None) -> Output | None:
        """What takes the output of ``entry``: the transcript, when it is kept, and ``also``."""
        if not self._kept:
            return also
        if also is None:
            return entry.take

        def both(stream: int, data: bytes) -> None:
            entry.take(stream, data)
            also(stream, data)

        return both

    def whole(self, redactor: Redactor) -> str:
        """Everything that is kept, in plain text."""
        blocks: list[str] = []
        size = 0
        for entry in reversed(self._entries):
            block = _block(entry, redactor)
            size += len(block)
            if size > TOTAL:
                break
            blocks.append(block)
        left_out = self._count - len(blocks)
        first = [f"[{left_out} earlier entries left out]\n"] if left_out else []
        return "\n".join([*first, *reversed(blocks)])

    def last(self, count: int, redactor: Redactor) -> list[str]:
        """The last things done, each in a few short lines."""
        lines = []
        for entry in list(self._entries)[-count:]:
            lines += [one_line(line, 160) for line in entry.headline(redactor).split("\n=> ", 1)]
            lines[-1] = f"  => {lines[-1]}"
            for stream, name in STREAMS.items():
                shown = last_lines(entry.streams[stream].text(redactor), 4, 150)
                lines += [f"     {name}: {line}" for line in shown]
        return lines

    def _add(self, entry: Entry, secret: Mapping[str, object]) -> None:
        self._entries.append(entry)
        self._count += 1
        if secret:
            self.secrets |= secret_values({name: value for name, value in secret.items() if isinstance(value, str)})

    def _join_repeated(self, entry: Entry) -> None:
        """A command that is repeated until it succeeds takes one entry."""
        if len(self._entries) < 2 or self._entries[-1] is not entry or not entry.is_like(self._entries[-2]):
            return
        self._entries.pop()
        self._count -= 1
        self._entries[-1].times += 1
        self._entries[-1].duration += entry.duration


def _block(entry: Entry, redactor: Redactor) -> str:
    lines = [plain(entry.headline(redactor))]
    for stream, name in STREAMS.items():
        ends = entry.streams[stream]
        if ends.size:
            lines.append(f"{name} ({ends.size} bytes):")
            lines += [f"  | {line}" for line in plain(ends.text(redactor)).split("\n")]
    return "\n".join(lines) + "\n"


def command_line(
    argv: Sequence[str], cwd: str | None = None, env: Mapping[str, str] | None = None, data: bytes | None = None
) -> str:
    """A command line for the transcript: names of variables without their values, input by its size."""
    more = [f"in {cwd}"] if cwd else []
    more += [f"with {', '.join(env)} set"] if env else []
    more += [f"with {len(data)} bytes of input"] if data else []
    return " ".join([f"`{shlex.join(map(str, argv))}`", *more])
