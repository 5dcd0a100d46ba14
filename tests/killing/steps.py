"""The steps by which a process changes the world around it, each with a name that is the same in every run.

A step is what Python's audit hooks (PEP 578) tell before it happens: a file opened to be written, made, renamed or
removed, a program started, a socket connected; and each request to a hypervisor or a guest. A file that is made gives
a second step: it is there, and empty.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = {
    "os.mkdir": "make folder",
    "os.rename": "rename",
    "os.remove": "remove",
    "os.rmdir": "remove folder",
    "os.truncate": "truncate",
    "os.chmod": "chmod",
    "os.utime": "touch",
    "os.symlink": "link",
    "shutil.copyfile": "copy",
    "shutil.rmtree": "remove tree",
    "socket.bind": "bind",
    "socket.connect": "connect",
    "subprocess.Popen": "start",
    "os.kill": "signal",
    "os.killpg": "signal group",
}
"""Events and what they are called in the name of a step."""
NAMELESS = {"socket.bind", "socket.connect", "os.kill", "os.killpg"}
VARYING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<![0-9a-zA-Z])[0-9a-f]{32,64}|\d{2,}"
)
"""What of a name is another one in each run."""
MADE = "made, empty: "


class Step(NamedTuple):
    """``operation`` is what the process was at, ``what`` it was about to do, for the ``time``-th time in there."""

    operation: str
    what: str
    time: int

    def __str__(self) -> str:
        return f"{self.operation}: {self.what}" + (f" ({self.time})" if self.time > 1 else "")


class Steps:
    """Tells ``at`` of each step of this process, before it is taken. Installed for good: meant for a forked child."""

    def __init__(self, at: Callable[[Step], None]) -> None:
        self._at = at
        self._operation = ""
        self._counts: Counter[tuple[str, str]] = Counter()
        self._last = ""
        self._within = threading.local()
        self._lock = threading.RLock()

    def watch(self) -> None:
        """Begin."""
        sys.addaudithook(self._audit)

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        """Steps taken in the block, on any thread, belong to this operation."""
        self._operation = name
        try:
            yield
        finally:
            self._operation = ""

    def request(self, name: str) -> None:
        """A request to a hypervisor or a guest is about to be made; the same one again and again counts once."""
        if name != self._last:
            self._take(name)
        self._last = name

    def _take(self, what: str, make: Callable[[], None] | None = None) -> None:
        if not self._operation:
            return
        with self._lock:
            self._note(what)
            if make is not None:
                self._note(f"{MADE}{what}", make)

    def _note(self, what: str, before: Callable[[], None] = lambda: None) -> None:
        key = (self._operation, what)
        self._counts[key] += 1
        self._prepare = before
        self._at(Step(*key, self._counts[key]))

    def bring_about(self) -> None:
        """Called by ``at``, do of the step what makes it what its name says: the empty file."""
        self._prepare()

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._operation or getattr(self._within, "a_step", False):
            return
        self._within.a_step = True
        try:
            if event == "open":
                self._opened(*arguments)
            elif event in CHANGES:
                self._last = ""
                self._take(CHANGES[event] if event in NAMELESS else f"{CHANGES[event]} {_name(arguments[0])}")
        finally:
            self._within.a_step = False

    def _opened(self, path: Any, mode: str | None, flags: int) -> None:
        written = flags & WRITES if mode is None else set(mode) & set("wxa+")
        if not written or isinstance(path, int) or os.fsdecode(path).startswith(("/dev/", "/proc/")):
            return
        makes = bool(flags & os.O_CREAT) if mode is None else bool(set(mode) & set("wxa"))
        self._last = ""
        self._take(f"write {_name(path)}", (lambda: _make(path)) if makes else None)


def _make(path: Any) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def _name(path: Any) -> str:
    if isinstance(path, int):
        return "an open file"
    return VARYING.sub("*", "/".join(Path(os.fsdecode(path)).parts[-2:]))
