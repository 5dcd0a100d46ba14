"""The disk of one machine: layers that it shares with others, and above them the one it writes to."""

from __future__ import annotations

from pathlib import Path

from pytest_hyperv.backends.qemu import overlay

FOLDER = "layers"
"""Where in the machine's folder its own layers lie."""


class Layers:
    """``below`` are the qcow2 files that no longer change, oldest first; ``top``, if there is one, is written to.

    ``count`` numbers the machine's own layers.
    """

    def __init__(self, machine_folder: Path, below: tuple[Path, ...], top: Path | None = None, count: int = 0) -> None:
        self._template = machine_folder / overlay.TEMPLATE
        self._own = machine_folder / FOLDER
        self._own.mkdir(mode=0o700, exist_ok=True)
        self.below, self.top, self.count = below, top, count

    @property
    def all(self) -> list[Path]:
        """The whole disk."""
        assert self.top is not None
        return [*self.below, self.top]

    def stand_on(self, below: tuple[Path, ...]) -> None:
        """Give up what was written, and have these layers below from now on."""
        if self.top is not None:
            self.top.unlink()
            self.top = None
        self.below = below

    def new_top(self) -> Path:
        """A fresh layer above all others, of the template that lies in the machine's folder."""
        self.count += 1
        self.top = overlay.make_overlay(self._template, self._own / f"{self.count}.qcow2")
        return self.top

    def freeze(self) -> tuple[Path, ...]:
        """Let nothing be written any more to what there is; returns it. A new top is needed then."""
        if self.top is not None:
            self.below, self.top = (*self.below, self.top), None
        return self.below

    def given_to(self, folder: Path) -> tuple[Path, ...]:
        """The whole disk, this machine's own layers moved to ``folder``: those of its checkpoints are among them."""
        frozen = self.freeze()
        return tuple(layer.rename(folder / layer.name) if layer.parent == self._own else layer for layer in frozen)
