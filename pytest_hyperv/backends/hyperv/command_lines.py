"""Windows command lines from argument lists: a program gets one string there, and takes it apart by its own rules."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import PureWindowsPath

_SHELL = frozenset({"cmd", "cmd.exe"})
_RUN = frozenset({"/c", "/k"})


def arguments_of(argv: Sequence[str]) -> str:
    """The arguments of ``argv`` as one string, quoted as CommandLineToArgvW takes them apart.

    What follows ``/c`` of cmd.exe is a line of its own language, handed over as it is, in one pair of quotes: with
    ``/s`` cmd.exe takes off just that pair (``cmd /?``).
    """
    if PureWindowsPath(argv[0]).name.casefold() in _SHELL:
        for at, argument in enumerate(argv[1:], start=2):
            if argument.casefold() in _RUN:
                return " ".join([*argv[1:at], f'"{" ".join(argv[at:])}"'])
    return subprocess.list2cmdline(argv[1:])
