"""What a guest says on its serial console, and which part of it tells how it died."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_hyperv.backends.qemu.command_line import CONSOLE

LIMIT = 4 * 1024 * 1024
"""How many bytes of a console are read, from its end."""
CRASH_LIMIT = 16_000
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_]|[\x00-\x08\x0b-\x1f\x7f]")
_PANIC = re.compile(r"Kernel panic - not syncing")
_FIRST_SIGN = re.compile(r"sysrq: Trigger a crash|BUG: |Oops: |general protection fault|Kernel panic - not syncing")
_SECTION = 200
"""Lines before the panic line in which the oops that led to it may begin."""


def size(folder: Path) -> int:
    """How many bytes the machine in ``folder`` has written to its console so far."""
    path = folder / CONSOLE
    return path.stat().st_size if path.exists() else 0


def read(folder: Path, start: int = 0) -> str:
    """The console of the machine in ``folder`` from byte ``start`` on, terminal control sequences taken out."""
    if not size(folder):
        return ""
    with (folder / CONSOLE).open("rb") as console:
        console.seek(max(start, size(folder) - LIMIT))
        return clean(console.read())


def clean(raw: bytes) -> str:
    """Console bytes as text without control sequences, lines ended by a newline alone."""
    return _ESCAPES.sub("", raw.decode("utf-8", "replace").replace("\r\n", "\n"))


def panic_text(console: str) -> str:
    """The part of a Linux console from the first sign of the last crash on; "" when there was no panic."""
    panics = list(_PANIC.finditer(console))
    if not panics:
        return ""
    before = console[: panics[-1].end()].splitlines(keepends=True)
    start = max(0, len(before) - _SECTION)
    first = next((i for i in range(start, len(before)) if _FIRST_SIGN.search(before[i])), len(before) - 1)
    return ("".join(before[first:]) + console[panics[-1].end() :])[:CRASH_LIMIT].strip()
