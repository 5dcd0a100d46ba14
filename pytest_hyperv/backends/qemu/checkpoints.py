"""The checkpoints of one machine: a tree of bundles in its folder."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from pytest_hyperv.backends.base import Checkpoint
from pytest_hyperv.backends.qemu import bundle as bundles
from pytest_hyperv.backends.qemu.bundle import Bundle
from pytest_hyperv.errors import MachineError

FOLDER = "checkpoints"


class CheckpointStore:
    """Checkpoints by id, oldest first, each with its bundle on disk."""

    def __init__(self, machine_folder: Path) -> None:
        self._root = machine_folder / FOLDER
        self._known: dict[str, Checkpoint] = {}

    def all(self) -> tuple[Checkpoint, ...]:
        """Every checkpoint, oldest first."""
        return tuple(self._known.values())

    def add(self, name: str, *, memory: bool, parent: str, save: Callable[[Path, bool], None]) -> Checkpoint:
        """A new checkpoint, its bundle written by ``save(folder, memory)``; a failure leaves nothing behind."""
        checkpoint = Checkpoint(uuid.uuid4().hex, name, memory, parent, time.time())
        folder = self._root / checkpoint.id
        folder.mkdir(mode=0o700, parents=True)
        try:
            save(folder, memory)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._known[checkpoint.id] = checkpoint
        return checkpoint

    def bundle(self, checkpoint_id: str) -> Bundle:
        """What a checkpoint saved. Raises MachineError when it was deleted or is another machine's."""
        self._require(checkpoint_id)
        return bundles.read(self._root / checkpoint_id)

    def remove(self, checkpoint_id: str) -> None:
        """Forget a checkpoint and free its memory; its children move up to its parent."""
        gone = self._require(checkpoint_id)
        del self._known[checkpoint_id]
        for child in list(self._known.values()):
            if child.parent == checkpoint_id:
                self._known[child.id] = Checkpoint(child.id, child.name, child.memory, gone.parent, child.created)
        shutil.rmtree(self._root / checkpoint_id)

    def _require(self, checkpoint_id: str) -> Checkpoint:
        try:
            return self._known[checkpoint_id]
        except KeyError:
            known = ", ".join(checkpoint.name for checkpoint in self._known.values()) or "none"
            raise MachineError(
                f"this machine has no such checkpoint; it has: {known}",
                hint="a checkpoint belongs to the machine that took it, until it is deleted.",
            ) from None
