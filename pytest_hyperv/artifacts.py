"""The folder of evidence: one folder a test, names of our own making, files only this user can read, all bounded."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path, PurePosixPath

LONGEST = 60
"""Characters of a name that stay; what tells two long names apart is a digest."""
KEPT_ENDINGS = frozenset({".log", ".json", ".xml", ".csv", ".evtx", ".etl", ".dmp", ".png", ".tar", ".gz", ".zip"})
"""Endings that a guest's file keeps. Others get one more: no later run of tests, no browser takes it for its own."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_OPEN = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def safe_name(text: str) -> str:
    """``text`` as a name of one file: letters, digits, dots, dashes, none of them leading up or hidden."""
    name = _UNSAFE.sub("-", text).strip(".-") or "unnamed"
    if len(name) > LONGEST:
        name = f"{name[: LONGEST - 10].rstrip('.-')}--{name[-8:].lstrip('.-')}"
    return name


def guest_name(path: str) -> str:
    """The name for a guest's file: its own last part, with an ending that nothing runs."""
    own = PurePosixPath(path.replace("\\", "/")).name
    name = safe_name(own)
    return name if PurePosixPath(name).suffix.lower() in KEPT_ENDINGS else f"{name}.data"


class Artifacts:
    """The folders of this run's tests below ``root``. Nothing is made before the first file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._begun: dict[str, int] = {}

    def of_test(self, nodeid: str) -> TestArtifacts:
        """A new folder for a test. What an earlier run left of that test goes; a repetition gets one of its own."""
        digest = hashlib.sha256(nodeid.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        attempt = self._begun[nodeid] = self._begun.get(nodeid, 0) + 1
        name = f"{safe_name(nodeid)}-{digest}{f'-{attempt}' if attempt > 1 else ''}"
        return TestArtifacts(self.root, name)


class TestArtifacts:
    """The folder of one test."""

    def __init__(self, root: Path, name: str) -> None:
        self._root, self._folder, self._made = root, root / name, False

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._folder

    def write(self, machine: str, name: str, data: bytes) -> str:
        """A new file of a machine; returns its path below the folder of artifacts. Raises OSError."""
        self._make()
        folder = self._folder / safe_name(machine)
        folder.mkdir(mode=0o700, exist_ok=True)
        target = folder / safe_name(name)
        with os.fdopen(os.open(target, _OPEN, 0o600), "wb") as file:
            file.write(data)
        return target.relative_to(self._root).as_posix()

    def reserve(self, machine: str, name: str) -> tuple[Path, str]:
        """A new, empty file, for a program to fill: where it is, and as ``write`` returns it. Raises OSError."""
        shown = self.write(machine, name, b"")
        return self._root / shown, shown

    def _make(self) -> None:
        if self._made:
            return
        if not self._root.exists():
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._root / ".gitignore").write_text("*\n", "utf-8")
        if self._folder.is_symlink():
            self._folder.unlink()
        elif self._folder.exists():
            shutil.rmtree(self._folder)
        self._folder.mkdir(mode=0o700)
        self._made = True
