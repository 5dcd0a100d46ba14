"""A machine of this backend, with what is saved of it: its checkpoints, and the state it may become."""

from __future__ import annotations

import shutil
from pathlib import Path

from pytest_hyperv.backends.base import Checkpoint, MachineState
from pytest_hyperv.backends.qemu import bundle as bundles
from pytest_hyperv.backends.qemu import migration, overlay, saving, tpm
from pytest_hyperv.backends.qemu.blueprint import Blueprint
from pytest_hyperv.backends.qemu.bundle import Bundle, Inside
from pytest_hyperv.backends.qemu.checkpoints import CheckpointStore
from pytest_hyperv.backends.qemu.command_line import DISK_NODE, VARIABLES, Ram, disk_chain
from pytest_hyperv.backends.qemu.life import Life
from pytest_hyperv.backends.qemu.living import REOPEN, LivingMachine
from pytest_hyperv.errors import MachineStateError
from pytest_hyperv.ledger import Ledger, Record


class QemuMachine(LivingMachine):
    """See ``backends.base.Machine``. Made off, on top of ``layers``; enter a bundle or start it to bring it to life."""

    def __init__(self, ledger: Ledger, record: Record, blueprint: Blueprint, layers: tuple[Path, ...]) -> None:
        super().__init__(ledger, record, blueprint, layers)
        self._checkpoints = CheckpointStore(record.folder)
        self.current = ""

    def recycle(self) -> bool:
        """There is no clean point: a new machine costs less than going back."""
        return False

    def enter(self, bundle: Bundle) -> None:
        """Become what ``bundle`` holds: running when it has memory, off otherwise. What the machine was is given up.

        The guest has not answered yet: see ``verify_ready``.
        """
        self._end_life()
        self._bundle = bundle
        self._disk.stand_on(bundle.layers)
        try:
            if not (self._folder / overlay.TEMPLATE).exists():
                shutil.copyfile(bundle.folder / overlay.TEMPLATE, self._folder / overlay.TEMPLATE)
            self._disk.new_top()
            shutil.copyfile(bundle.folder / VARIABLES, self._folder / VARIABLES)
            shutil.rmtree(self._folder / tpm.STATE, ignore_errors=True)
            if (bundle.folder / tpm.STATE).is_dir():
                shutil.copytree(bundle.folder / tpm.STATE, self._folder / tpm.STATE)
        except OSError as error:
            raise overlay.trouble(self.name, self._folder, "made from its state", error) from error
        if bundle.memory:
            self._life = self._new_life(Ram(bundle.ram), incoming=True, inside=bundle.inside)
            migration.receive_file(self._life.monitor, bundle.devices)
            self._life.resume()

    def checkpoint(self, name: str, *, memory: bool) -> Checkpoint:
        """Save a point. A running machine is paused meanwhile; its file systems are flushed when memory is left out."""
        state = self.state
        if state is MachineState.CRASHED:
            raise MachineStateError(
                f"{self.name} must be running, paused or off to take a checkpoint, it is crashed",
                hint="restore an earlier checkpoint first.",
                machine=self.name,
            )
        memory = memory and state is not MachineState.OFF
        if state is MachineState.RUNNING and not memory:
            self.session.run(["sync"]).check()
        if state is MachineState.RUNNING:
            self._living().pause()
        try:
            checkpoint = self._checkpoints.add(name, memory=memory, parent=self.current, save=self._save_into)
        except OSError as error:
            raise overlay.trouble(self.name, self._folder, "saved", error) from error
        finally:
            if state is MachineState.RUNNING and self.state is MachineState.PAUSED:
                self.resume()
        self.current = checkpoint.id
        return checkpoint

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to ``checkpoint``."""
        self.enter(self._checkpoints.bundle(checkpoint.id))
        self.current = checkpoint.id
        if checkpoint.memory:
            self.verify_ready()

    def delete_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Forget a point; disk layers stay, others stand on them."""
        self._checkpoints.remove(checkpoint.id)
        if self.current == checkpoint.id:
            self.current = checkpoint.parent

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All points, oldest first."""
        return self._checkpoints.all()

    def save_as_state(self, folder: Path) -> None:
        """End this running machine and leave it, memory and disk, as a bundle in the empty ``folder``."""
        life = self._living()
        saving.quieten(life.session(REOPEN), self._blueprint.os_family)
        life.pause()
        inside = life.inside
        ram = self._folder / bundles.RAM
        if ram.exists():
            saving.save_devices(life.monitor, folder)
            ram.rename(folder / bundles.RAM)
        else:
            self._save_memory(life, folder)
        self._end_life()
        layers = self._disk.given_to(folder)
        below = tuple(layer for layer in layers if layer.parent != folder)
        self._write_bundle(folder, layers, memory=True, inside=inside, sealed=below)
        bundles.seal(folder)

    def _save_into(self, folder: Path, memory: bool) -> None:
        life = self._life
        inside = Inside()
        if memory:
            assert life is not None
            inside = life.inside
            self._save_memory(life, folder)
        frozen = self._freeze_disk(life)
        if not memory and (self._folder / tpm.STATE).is_dir():
            shutil.copytree(self._folder / tpm.STATE, folder / tpm.STATE)
        self._write_bundle(folder, frozen, memory=memory, inside=inside)

    def _save_memory(self, life: Life, folder: Path) -> None:
        saving.save_through_twin(
            self.name,
            life.monitor,
            self._folder,
            folder,
            ram_size=self._blueprint.ram_size,
            launch=lambda top, ram: self._launch([*self._disk.below, top], ram, self.cable.loose_end(), incoming=True),
        )

    def _freeze_disk(self, life: Life | None) -> tuple[Path, ...]:
        """Put a fresh overlay on top of the disk; returns the layers that no longer change."""
        frozen = self._disk.freeze()
        top = self._disk.new_top()
        if life is not None:
            node = disk_chain([top]) | {"node-name": f"{DISK_NODE}{self._disk.count}"}
            life.monitor.execute("blockdev-add", **node)
            life.monitor.execute("blockdev-snapshot", node=life.disk_node, overlay=node["node-name"])
            life.disk_node = node["node-name"]
        return frozen

    def _write_bundle(
        self,
        folder: Path,
        layers: tuple[Path, ...],
        *,
        memory: bool,
        inside: Inside,
        sealed: tuple[Path, ...] = (),
    ) -> None:
        shutil.copyfile(self._folder / VARIABLES, folder / VARIABLES)
        shutil.copyfile(self._folder / overlay.TEMPLATE, folder / overlay.TEMPLATE)
        self._blueprint.bundle(folder, layers, memory=memory, inside=inside, sealed=sealed).write()
