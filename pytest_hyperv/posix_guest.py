"""What every guest with a POSIX shell does in the same way, whatever road leads into it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Protocol

from pytest_hyperv.guest import CommandResult


class _Runs(Protocol):
    def run(self, argv: Sequence[str], *, timeout: float = ...) -> CommandResult: ...


class PosixGuest:
    """A part of GuestSession, by programs that every such guest has."""

    streams_input = True

    def make_folder(self: _Runs, path: str, *, timeout: float) -> None:
        """Make a folder and those above it."""
        self.run(["mkdir", "-p", "--", path], timeout=timeout).check()

    def scratch_path(self, name: str) -> str:
        """A new path in the guest's folder for passing files."""
        return f"/tmp/pytest-hyperv-{uuid.uuid4().hex}-{name}"  # noqa: S108 - the guest's, under a name nobody knows

    def remove_file(self: _Runs, path: str) -> None:
        """Remove a file."""
        self.run(["rm", "-f", "--", path]).check()
