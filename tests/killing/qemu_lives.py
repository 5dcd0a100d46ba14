"""Lives on the QEMU backend: of a machine made from a state, of a state made by a recipe, and of one that is booted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pytest_hyperv import VirtualMachine, hyperv_state
from pytest_hyperv.backends.base import Machine
from pytest_hyperv.backends.qemu.backend import QemuBackend
from pytest_hyperv.backends.qemu.guest_connection import Connection
from pytest_hyperv.backends.qemu.guest_wire import Kind
from pytest_hyperv.backends.qemu.qmp import Monitor
from pytest_hyperv.cli import main
from pytest_hyperv.images import ImageStore
from pytest_hyperv.ledger import Ledger
from pytest_hyperv.progress import Silent
from pytest_hyperv.spec import Image, MachineSpec
from pytest_hyperv.states.declared import State
from pytest_hyperv.states.store import StateStore
from tests.killing.states import build_and_remove, remove_finished
from tests.killing.steps import Steps

REQUESTS = {Kind.RUN: "run", Kind.CLOCK: "clock", Kind.PING: "ping", Kind.PUT: "put", Kind.STAT: "stat"}


@hyperv_state(base="debian-12")
def marked(vm: VirtualMachine) -> None:
    """A recipe that takes no time."""
    vm.write_text("/root/mark", "made\n")


class QemuBench:
    """A cache whose images and states are those of another one; see `matrix.Bench`."""

    booted = True
    """Whether the booted image is there already, as a state of the other cache."""

    def __init__(self, shared: Path, cache: Path, spec: MachineSpec) -> None:
        """``shared`` is the other cache, in which `ensure_base` has been at work; ``cache`` is made."""
        self.cache, self.spec = cache, spec
        self._images = ImageStore(shared / "images")
        (cache / "states").mkdir(parents=True)
        (cache / "images").symlink_to(shared / "images")
        if self.booted:
            base = StateStore(shared / "states", QemuBackend(shared)).folder(self.image, spec)
            (cache / "states" / base.name).symlink_to(base)
        (cache / "qemu-probe.json").write_bytes((shared / "qemu-probe.json").read_bytes())

    @property
    def image(self) -> Image:
        """What machines are made of."""
        return self._images.get(self.spec.image)

    def backend(self) -> QemuBackend:
        """A backend of the process that asks."""
        return QemuBackend(self.cache)

    def store(self, backend: QemuBackend) -> StateStore:
        """The states of the cache."""
        return StateStore(self.cache / "states", backend)

    def live(self, steps: Steps) -> None:
        """Clone, checkpoint with and without memory, restore, delete a checkpoint, discard."""
        watch_requests(steps)
        store = self.store(self.backend())
        try:
            with steps.operation("clone"):
                machine = store.clone(self.image, self.spec, "a run that dies", Silent())
            try:
                _use(machine, steps)
            finally:
                with steps.operation("discard"):
                    machine.discard()
        finally:
            with steps.operation("leave the states"):
                store.close()

    def stay(self, told: Callable[[], None]) -> None:
        """A machine whose guest must still answer when ``told`` returns."""
        store = self.store(self.backend())
        machine = store.clone(self.image, self.spec, "another run", Silent())
        try:
            told()
            machine.session.run(["true"]).check()
        finally:
            machine.discard()
            store.close()

    def reclaim(self) -> None:
        """``pytest-hyperv gc``, and the removal of states that were whole already."""
        collect_garbage(self.cache)
        backend = self.backend()
        remove_finished(backend, self.cache / "states", self.store(backend).folder(self.image, self.spec).name)

    def _live(self, steps: Steps, state: State | None) -> None:
        build_and_remove(steps, self.backend(), self.cache / "states", self.image, self.spec, state)

    def left(self) -> list[str]:
        """Machines, and all that is there of states; locks stay by design."""
        machines = self.cache / "machines"
        found = [f"machine {path.name}" for path in machines.glob("*") if path.suffix != ".lock"]
        for folder, folders, files in os.walk(self.cache / "states"):
            found += [f"{Path(folder, name)}" for name in (*folders, *files) if not name.endswith(".lock")]
        return sorted(found + _scratch())


class RecipeBench(QemuBench):
    """The life of a state that a recipe makes: built, and removed."""

    def live(self, steps: Steps) -> None:
        """Build and remove."""
        watch_requests(steps)
        self._live(steps, marked)


class BootBench(QemuBench):
    """The life of a booted state."""

    booted = False

    def reclaim(self) -> None:
        """As of the others, but no state is to stay."""
        collect_garbage(self.cache)
        remove_finished(self.backend(), self.cache / "states", "")

    def live(self, steps: Steps) -> None:
        """Build and remove."""
        watch_requests(steps)
        self._live(steps, None)

    def stay(self, told: Callable[[], None]) -> None:
        """A machine in the ledger that is only written down: another boot would take too long."""
        ledger = Ledger(self.cache / "machines")
        record = ledger.open("qemu", "another run")
        told()
        assert record in ledger.records()
        ledger.close(record)


def _use(machine: Machine, steps: Steps) -> None:
    with steps.operation("checkpoint"):
        point = machine.checkpoint("point", memory=True)
    with steps.operation("checkpoint of the disk"):
        machine.checkpoint("disk", memory=False)
    with steps.operation("restore"):
        machine.restore(point)
    with steps.operation("delete a checkpoint"):
        machine.delete_checkpoint(point)


def ensure_base(shared: Path, spec: MachineSpec) -> None:
    """Have the booted image in a cache; a machine is booted for it if need be."""
    store = StateStore(shared / "states", QemuBackend(shared))
    try:
        store.ensure(ImageStore(shared / "images").get(spec.image), spec, Silent())
    finally:
        store.close()


def collect_garbage(cache: Path) -> None:
    """Run ``pytest-hyperv gc`` on a cache in this process. Raises AssertionError when it complains."""
    ended = CliRunner().invoke(main, ["gc", "--cache", str(cache)], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output


def watch_requests(steps: Steps) -> None:
    """Count what QEMU and the guest's server are asked among the steps, for the rest of this process."""
    execute, ask, patch = Monitor.execute, Connection.open, pytest.MonkeyPatch()

    def executed(self: Monitor, command: str, **arguments: Any) -> Any:
        steps.request(f"QMP {command}")
        return execute(self, command, **arguments)

    def asked(self: Connection, kind: bytes, *arguments: Any, **named: Any) -> Any:
        steps.request(f"guest server {REQUESTS.get(kind, kind.decode())}")
        return ask(self, kind, *arguments, **named)

    patch.setattr(Monitor, "execute", executed)
    patch.setattr(Connection, "open", asked)


def _scratch() -> list[str]:
    """What lies in the folder for temporary files, which is this matrix' own."""
    return [str(path) for path in Path(tempfile.gettempdir()).iterdir()]
