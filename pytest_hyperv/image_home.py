"""The folder one image lives in: who may change it, how a version is made in it, and what is cleaned when that fails.

Each version has a path of its own, named by its content, because a disk that others are layered on must never change.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_hyperv.errors import ImageError
from pytest_hyperv.progress import Progress
from pytest_hyperv.recipes.debian import forget_scratch

CURRENT, BUILDING, REMOVED = "current", ".building-", ".removed-"
LOCK_TIMEOUT = 3600.0
"""Seconds to wait while another run makes the same image."""


class ImageHome:
    """The folder ``root/name``. Only whoever is inside ``locked`` may call what changes it."""

    def __init__(self, root: Path, name: str) -> None:
        self._root, self._name = root, name
        self.folder = root / name

    def version(self) -> Path | None:
        """The folder of the version in use, or None when there is none."""
        pointer = self.folder / CURRENT
        return self.folder / pointer.read_text().strip() if pointer.is_file() else None

    @contextmanager
    def locked(self, progress: Progress | None) -> Iterator[None]:
        """Keep other runs away. Waits, and says so, for one that is at it; without ``progress`` it does not wait."""
        with told_as_image_errors(self._name):
            self._root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._root.mkdir(mode=0o700, exist_ok=True)
            lock = FileLock(self._root / f".{self._name}.lock", mode=0o600)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                self._wait_for(lock, progress)
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def building(self) -> Iterator[Path]:
        """A private folder to make a version in; what is still there in the end is removed."""
        with told_as_image_errors(self._name):
            self.sweep()
            self.folder.mkdir(mode=0o700, exist_ok=True)
            building = self.folder / f"{BUILDING}{secrets.token_hex(6)}"
            building.mkdir(mode=0o700)
            try:
                yield building
            finally:
                self.sweep()

    def publish(self, building: Path, version: str) -> None:
        """Make ``building`` the version in use. The one before stays, for machines that still run on it."""
        before = self.version()
        folder = self.folder / version
        if folder.exists():
            shutil.rmtree(folder)
        building.rename(folder)
        write_whole(self.folder / CURRENT, version + "\n")
        for old in self.folder.iterdir():
            if old.is_dir() and old not in (folder, before):
                shutil.rmtree(old)

    def sweep(self) -> None:
        """Remove what killed builds and removals left. The lock is held, so nobody is at it."""
        for stale in [*self.folder.glob(f"{BUILDING}*"), *self._root.glob(f"{REMOVED}{self._name}-*")]:
            forget_scratch(stale)
            shutil.rmtree(stale)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def destroy(self) -> None:
        """Remove the image: out of sight at once, then off the disk."""
        with told_as_image_errors(self._name):
            self.sweep()
            if self.folder.is_dir():
                self.folder.rename(self._root / f"{REMOVED}{self._name}-{secrets.token_hex(4)}")
            self.sweep()

    def _wait_for(self, lock: FileLock, progress: Progress | None) -> None:
        if progress is None:
            raise ImageError(
                f"Another run is making the image {self._name} now.", hint="Wait until it is done.", image=self._name
            )
        try:
            with progress.task(f"Waiting for another run that makes the image {self._name}", steps=1):
                lock.acquire(timeout=LOCK_TIMEOUT)
        except Timeout as error:
            raise ImageError(
                f"Another run has been making the image {self._name} for over {LOCK_TIMEOUT / 60:.0f} minutes.",
                hint="See whether it is stuck, end it, and try again.",
                image=self._name,
            ) from error


def write_whole(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Put a small file in place whole or not at all."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    partial.replace(path)


@contextmanager
def told_as_image_errors(name: str) -> Iterator[None]:
    """Turn a failing disk or a forbidden folder into an ImageError that names the way out."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        where = f" ({error.filename})" if error.filename else ""
        raise ImageError(
            f"The files of image {name} cannot be kept: {error.strerror or error}{where}.",
            hint="Free some space, or set PYTEST_HYPERV_CACHE to a folder on a larger disk."
            if full
            else "See that the cache folder belongs to you, or set PYTEST_HYPERV_CACHE to another one.",
            image=name,
        ) from error
