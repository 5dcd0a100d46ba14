"""Scripted answers: who plays a script that is known by its text. All others are read as PowerShell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.hvsim.engine.scripts import plain
from tests.hvsim.guest.package_scripts import PACKAGE_SCRIPTS, Answer
from tests.hvsim.guest.shell_state import GuestShell
from tests.hvsim.host.crashes import bugcheck

HARD_ERROR = "NtRaiseHardError"
"""A script that calls this function of ntdll.dll wants the system to stop with a bug check."""
ASSERTION_FAILURE = "0xC0000420"


def crash(shell: GuestShell, values: dict[str, Any]) -> Iterator[object]:
    """A bug check on request; nothing comes back from a guest that is gone."""
    del values
    with shell.system.open() as guest:
        bugcheck(guest.world, guest.vm, ASSERTION_FAILURE)
    shell.system.attend()
    yield from ()


ANSWERS: dict[str, Answer] = {plain(text): answer for text, answer in PACKAGE_SCRIPTS.items()}
"""By text with plain line ends and nothing around it. A test may add its own."""


def answer_for(text: str) -> Answer | None:
    """Who plays the script; None when it is to be read."""
    return crash if HARD_ERROR in text else ANSWERS.get(plain(text))
