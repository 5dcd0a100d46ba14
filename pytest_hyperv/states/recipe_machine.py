"""The machine that a recipe gets: one as tests hold it, that remembers what was done to it."""

from __future__ import annotations

from pathlib import Path

from pytest_hyperv.backends.base import Machine
from pytest_hyperv.machine import COPY, VirtualMachine
from pytest_hyperv.spec import Image
from pytest_hyperv.transcript import Transcript


class RecipeMachine(VirtualMachine):
    """Its transcript is kept; relative paths of the host are below ``root``."""

    def __init__(self, machine: Machine, image: Image, backend: str, *, timeout: float, root: Path) -> None:
        super().__init__(machine, image, backend, timeout=timeout, transcript=Transcript())
        self._root = root

    def copy_in(self, source: str | Path, target: str, *, timeout: float = COPY) -> None:
        """As of VirtualMachine, with relative paths below pytest's rootdir, where inputs are looked for too."""
        super().copy_in(self._root / source, target, timeout=timeout)

    def copy_out(self, source: str, target: str | Path, *, timeout: float = COPY) -> Path:
        """As of VirtualMachine, with relative paths below pytest's rootdir."""
        return super().copy_out(source, self._root / target, timeout=timeout)
