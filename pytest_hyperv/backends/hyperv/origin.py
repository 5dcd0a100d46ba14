"""What another process must know of a machine to attach to it, in the machine's folder: its GUID and its state."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from pytest_hyperv.backends.hyperv.saved_state import SavedState
from pytest_hyperv.errors import MachineStateError
from pytest_hyperv.ledger import Record

FOLDER, IDENT = "origin", "id"


def note(record: Record, ident: UUID, state: SavedState) -> None:
    """Write it down; the state's own note may be gone when it is needed."""
    folder = record.folder / FOLDER
    folder.mkdir(mode=0o700)
    state.write(folder)
    (folder / IDENT).write_text(str(ident), "utf-8")


def read(record: Record) -> tuple[UUID, SavedState]:
    """The GUID of a machine, and the state it was made from. Raises MachineStateError while it is being made."""
    folder: Path = record.folder / FOLDER
    try:
        return UUID((folder / IDENT).read_text("utf-8")), SavedState.read(folder)
    except OSError as error:
        raise MachineStateError(f"{record.name} is still being made", hint="try again.", machine=record.name) from error
