"""States: machines saved running and ready, built once, kept by content, shared by every worker and later run."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_hyperv.backends.base import Backend
from pytest_hyperv.errors import HostError
from pytest_hyperv.progress import Progress
from pytest_hyperv.spec import Image, MachineSpec

BUILDING = ".building-"
BUILD_TIMEOUT = 3600.0
"""Seconds to wait for another run that builds the same state."""


class StateStore:
    """The states of one backend below one folder; ``built`` counts those that this process had to build."""

    def __init__(self, root: Path, backend: Backend) -> None:
        self._root, self._backend = root, backend
        self.built = 0

    def key(self, image: Image, spec: MachineSpec) -> str:
        """A digest over all that a saved machine depends on: image, spec, and what the backend is made of."""
        parts = {"image": image.digest, "spec": asdict(spec), "backend": self._backend.name}
        parts |= {"host": dict(self._backend.fingerprint(spec))}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

    def folder(self, image: Image, spec: MachineSpec) -> Path:
        """Where the state lies, or will lie once it is built."""
        return self._root / self.key(image, spec)

    def ensure(self, image: Image, spec: MachineSpec, progress: Progress) -> Path:
        """The folder of the state, built first when it is not there. One run builds, others wait for it.

        Raises HostError when the disk is full, and whatever the backend raises when the guest does not come up.
        """
        folder = self.folder(image, spec)
        if not folder.is_dir():

            def build() -> None:
                if not folder.is_dir():
                    self._build(image, spec, folder, progress)

            self._exclusively(folder.name, progress, build)
        return folder

    def rebuild(self, image: Image, spec: MachineSpec, progress: Progress) -> Path:
        """Replace a state whose files turned out damaged."""
        folder = self.folder(image, spec)

        def replace() -> None:
            if folder.is_dir():
                self._backend.remove_state(folder)
            shutil.rmtree(folder, ignore_errors=True)
            self._build(image, spec, folder, progress)

        self._exclusively(folder.name, progress, replace)
        return folder

    def _exclusively(self, key: str, progress: Progress, work: Callable[[], None]) -> None:
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(_lock(self._root, key))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                with progress.task("Waiting for another run that builds the same state", steps=1):
                    lock.acquire(timeout=BUILD_TIMEOUT)
            try:
                work()
            finally:
                lock.release()
        except OSError as error:
            raise HostError(
                f"a state cannot be saved below {self._root}: {error.strerror or error}",
                hint="free space there, or choose another folder with --hyperv-cache.",
            ) from error

    def _build(self, image: Image, spec: MachineSpec, folder: Path, progress: Progress) -> None:
        building = self._root / f"{BUILDING}{folder.name}"
        if building.exists():
            shutil.rmtree(building)
        building.mkdir(mode=0o700)
        try:
            self._backend.build_state(image, spec, building, progress)
            building.rename(folder)
            self.built += 1
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise


def sweep(root: Path) -> list[Path]:
    """Remove what builders that were killed left below ``root``, beside runs that build; returns what was removed."""
    removed = []
    for left in root.glob(f"{BUILDING}*"):
        try:
            with FileLock(_lock(root, left.name.removeprefix(BUILDING)), timeout=0):
                shutil.rmtree(left, ignore_errors=True)
                removed.append(left)
        except Timeout:
            continue
    return removed


def _lock(root: Path, key: str) -> Path:
    return root / f".{key}.lock"
