"""Entering machines that another process made: finding one by its name, attaching to it, and leaving it as it was."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pytest_hyperv.backends.base import Machine, MachineState
from pytest_hyperv.backends.registry import open_backend_of
from pytest_hyperv.cache import default_cache
from pytest_hyperv.errors import GuestCrashed, HypervError, MachineError, MachineStateError
from pytest_hyperv.ledger import Ledger, Record
from pytest_hyperv.visitors import visitors

BY_HAND = "by hand"
"""Why a machine is kept that a person made. It runs on while nobody is in it; those that tests left are paused then."""
BOOT = 600.0


def command_to_enter(name: str, cache: Path) -> str:
    """What to type to get into a machine of that cache."""
    usual = default_cache() == cache
    return shlex.join(["pytest-hyperv", "shell", *([] if usual else ["--cache", str(cache)]), name])


def find(ledger: Ledger, name: str) -> Record:
    """The machine of that name or id, or of the only one that begins so. Raises MachineError with those there are."""
    records = ledger.records()
    wanted = name.lower()
    exact = [each for each in records if wanted in (each.name, each.id)]
    begun = [
        each
        for each in records
        if wanted and any(word.startswith(wanted) for word in (each.name, each.id, each.folder.name))
    ]
    begun = begun or [each for each in records if wanted and each.name.partition("-")[2].startswith(wanted)]
    found = exact or begun
    if len(found) == 1:
        return found[0]
    listed = ", ".join(each.name for each in found or records) or "none"
    raise MachineError(
        f"{name!r} is the beginning of several machines" if found else f"there is no machine {name!r}",
        hint=f"there are: {listed}. See pytest-hyperv vms.",
        machine=name,
    )


@contextmanager
def attached(ledger: Ledger, cache: Path, record: Record, *, guest: bool = False) -> Iterator[Machine]:
    """The machine of a record, as it is; nobody removes it meanwhile. ``guest``: commands and files are wanted.

    Raises MachineError, LeaseLost, and what opening its backend raises.
    """
    with ledger.visited(record):
        backend = open_backend_of(record, cache)
        try:
            machine = backend.attach(record, guest=guest)
            try:
                yield machine
            finally:
                machine.leave()
        finally:
            backend.close()


@contextmanager
def entered(ledger: Ledger, cache: Path, record: Record) -> Iterator[Machine]:
    """The machine with its guest running: resumed, or booted when it is off.

    One that was kept after a test is paused again when the last one leaves it. Raises GuestCrashed when its guest is
    dead, and as ``attached`` does.
    """
    with attached(ledger, cache, record, guest=True) as machine:
        _wake(machine, kept=bool(record.kept))
        try:
            yield machine
        finally:
            if record.kept not in ("", BY_HAND) and len(visitors(record.folder)) <= 1:
                with suppress(HypervError):
                    if machine.state is MachineState.RUNNING:
                        machine.pause()


def _wake(machine: Machine, *, kept: bool) -> None:
    state = machine.state
    if state is MachineState.CRASHED:
        crash = machine.crash
        text = crash.text if crash is not None else ""
        raise GuestCrashed(
            f"the guest of {machine.name} is dead: {text.strip()[-500:]}",
            machine=machine.name,
            kind=crash.kind if crash is not None else "",
            text=text,
            hint=f"see pytest-hyperv console {machine.name} and pytest-hyperv screenshot {machine.name}.",
        )
    if state in (MachineState.OFF, MachineState.PAUSED) and not kept:
        raise MachineStateError(
            f"{machine.name} is {state}, and in the hands of a run that may want it so",
            hint="call vm.start() or vm.resume() there.",
            machine=machine.name,
        )
    if state is MachineState.OFF:
        machine.start(BOOT)
    elif state is MachineState.PAUSED:
        machine.resume()
