"""The life of a state, of whatever backend: built, and removed."""

from __future__ import annotations

from pathlib import Path

from pytest_hyperv.backends.base import Backend
from pytest_hyperv.progress import Silent
from pytest_hyperv.spec import Image, MachineSpec
from pytest_hyperv.states.declared import State
from pytest_hyperv.states.shelf import Shelf
from pytest_hyperv.states.store import StateStore
from tests.killing.steps import Steps


def build_and_remove(
    steps: Steps, backend: Backend, root: Path, image: Image, spec: MachineSpec, state: State | None
) -> None:
    """Build the state below ``root``, then remove it as ``pytest-hyperv states remove`` does."""
    store = StateStore(root, backend)
    try:
        with steps.operation("build a state"):
            folder = store.ensure(image, spec, Silent(), state)
    finally:
        with steps.operation("leave the states"):
            store.close()
    with steps.operation("remove a state"):
        shelf = Shelf(root, lambda _, gone: backend.remove_state(gone))
        shelf.remove(shelf.named(folder.name))


def remove_finished(backend: Backend, root: Path, base: str) -> None:
    """Remove the states below ``root`` that were whole when their maker died, which is no fault, except ``base``."""
    shelf = Shelf(root, lambda _, gone: backend.remove_state(gone))
    shelf.remove([each for each in shelf.all() if each.key != base])
