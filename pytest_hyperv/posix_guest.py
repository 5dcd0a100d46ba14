"""What every guest with a POSIX shell does in the same way, whatever road leads into it."""

from __future__ import annotations

import stat
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from pytest_hyperv.errors import CopyError
from pytest_hyperv.guest import CommandResult, FileFacts

LOOK = 30.0
"""Seconds a look at a path may take."""

KILL_TREE = """
kill -STOP "$1" 2>/dev/null
all=" $1 " found=1
while [ "$found" ]; do
  found=
  for stat in /proc/[0-9]*/stat; do
    { read -r line < "$stat"; } 2>/dev/null || continue
    pid=${line%% *} rest=${line##*) }; rest=${rest#* }; parent=${rest%% *} rest=${rest#* }; rest=${rest#* }
    session=${rest%% *}
    case $all in *" $pid "*) continue;; esac
    case $all in *" $parent "*|*" $session "*) all="$all$pid "; found=1; kill -STOP "$pid" 2>/dev/null;; esac
  done
done
kill -KILL ${all#" $1 "} "$1" 2>/dev/null
"""
"""Kills the process $1, its descendants, and its session if it leads one; stopped first so that none forks away.

It comes last, so that whoever waits for its end finds all of them gone.
Built-ins only: forks are slow.
"""


def kind_of(mode: int) -> Literal["file", "directory", "symlink", "other"]:
    """What an st_mode describes."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(mode) else "other"


class _Runs(Protocol):
    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = ..., timeout: float = ...
    ) -> CommandResult: ...


class PosixGuest:
    """A part of GuestSession, by programs that every such guest has."""

    streams_input = True

    def make_folder(self: _Runs, path: str, *, timeout: float) -> None:
        """Make a folder and those above it."""
        self.run(["mkdir", "-p", "--", path], timeout=timeout).check()

    def stat(self: _Runs, path: str) -> FileFacts | None:
        """Facts of a path, a link not followed; None when nothing is there. Raises CopyError."""
        result = self.run(["stat", "-c", "%f %s", "--", path], env={"LC_ALL": "C"}, timeout=LOOK)
        if result.returncode != 0:
            if "No such file" in result.stderr or "Not a directory" in result.stderr:
                return None
            raise CopyError(f"cannot look at {path} in the guest: {result.stderr.strip()}", path=path)
        mode, size = result.stdout.split()
        return FileFacts(kind_of(int(mode, 16)), int(size), int(mode, 16) & 0o7777)

    def scratch_path(self, name: str) -> str:
        """A new path in the guest's folder for passing files."""
        return f"/tmp/pytest-hyperv-{uuid.uuid4().hex}-{name}"  # noqa: S108 - the guest's, under a name nobody knows

    def take_file(self, source: Path, target: str, *, timeout: float) -> bool:  # noqa: ARG002
        """There is no faster road."""
        return False

    def remove_file(self: _Runs, path: str) -> None:
        """Remove a file."""
        self.run(["rm", "-f", "--", path]).check()
