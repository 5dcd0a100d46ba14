"""What a script in the guest can reach: its guest, its session's variables, and the ways out of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tests.hvsim.guest.files import HOME
from tests.hvsim.guest.identity import environment
from tests.hvsim.guest.remote_values import ErrorRecord, Record
from tests.hvsim.guest.session import GuestSession
from tests.hvsim.guest.system import GuestSystem

FIRST_FOLDER = HOME + r"\Documents"


class Terminating(Exception):
    """A terminating error: ends the script unless it is caught."""

    def __init__(self, record: ErrorRecord) -> None:
        super().__init__(record.message)
        self.record = record


class ExitScript(Exception):
    """``exit``: ends the script, with a code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class GuestShell:
    """The PowerShell of one session while it runs one script. `records` wait to be written, in their order."""

    system: GuestSystem
    session: GuestSession
    records: deque[Record | ErrorRecord] = field(default_factory=deque)
    exit_code: int | None = None

    @property
    def variables(self) -> dict[str, Any]:
        """The session's global variables, by casefolded name."""
        return self.session.variables

    @property
    def folder(self) -> str:
        """The current folder, which lasts from one script to the next."""
        return str(self.session.variables.get("pwd", FIRST_FOLDER))

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the session's process; changes to it last as long as the session."""
        variables: dict[str, str] = self.session.variables.setdefault("env:", environment(self.session.user))
        return variables
