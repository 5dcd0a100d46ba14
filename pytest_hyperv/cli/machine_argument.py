"""What commands that enter a machine share: its name as an argument, and an end that leaves it in order."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from pytest_hyperv.backends.base import Machine
from pytest_hyperv.ledger import Ledger, Record
from pytest_hyperv.visits import attached, entered, find

machine_argument = click.argument("name", metavar="VM")
"""``VM``: the name or id of a machine, or the beginning of one."""


class Visit:
    """One machine of a cache, found by name. Raises MachineError when there is none, or more than one."""

    def __init__(self, cache: Path, name: str) -> None:
        self._ledger, self._cache = Ledger(cache / "machines"), cache
        self.record: Record = find(self._ledger, name)

    @contextmanager
    def seen(self) -> Iterator[Machine]:
        """The machine as it is, paused or running."""
        with _orderly(), attached(self._ledger, self._cache, self.record) as machine:
            yield machine

    @contextmanager
    def entered(self) -> Iterator[Machine]:
        """The machine with its guest running."""
        with _orderly(), entered(self._ledger, self._cache, self.record) as machine:
            yield machine


@contextmanager
def _orderly() -> Iterator[None]:
    """End as by Ctrl-C when the terminal is closed or the process is told to end, so that the machine is left."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, _leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signal() calls it
    sys.exit(128 + number)
