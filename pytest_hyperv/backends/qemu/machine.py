"""A machine of this backend: a folder, a chain of disk layers, and one watched QEMU process after the other."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path

from pytest_hyperv.backends.base import Checkpoint, GuestCrash, MachineState
from pytest_hyperv.backends.qemu import bundle as bundles
from pytest_hyperv.backends.qemu import console, migration, overlay, saving, seen, tpm
from pytest_hyperv.backends.qemu.blueprint import Blueprint
from pytest_hyperv.backends.qemu.bundle import Bundle, Inside
from pytest_hyperv.backends.qemu.cable import Cable
from pytest_hyperv.backends.qemu.checkpoints import CheckpointStore
from pytest_hyperv.backends.qemu.command_line import DISK_NODE, VARIABLES, Channels, Ram, disk_chain
from pytest_hyperv.backends.qemu.instance import Launch
from pytest_hyperv.backends.qemu.life import Life
from pytest_hyperv.errors import MachineStateError, SessionLost
from pytest_hyperv.guest import GuestSession
from pytest_hyperv.ledger import Ledger, Record
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.pipes import StreamPipe
from pytest_hyperv.spec import MachineSpec

LAYERS = "layers"
"""Where in the machine's folder its own disk layers lie."""
REOPEN = 300.0
"""Seconds a guest that reboots may take until commands work again."""


class QemuMachine:
    """See ``backends.base.Machine``. Made off, on top of ``layers``; enter a bundle or start it to bring it to life."""

    def __init__(self, ledger: Ledger, record: Record, blueprint: Blueprint, layers: tuple[Path, ...]) -> None:
        self._ledger, self._record, self._blueprint = ledger, record, blueprint
        self._folder = record.folder
        self._below = layers
        self._top: Path | None = None
        self._life: Life | None = None
        self._checkpoints = CheckpointStore(record.folder)
        self.cable = Cable(there=blueprint.spec.network == "private")
        self._layer_count = 0
        self.current = ""
        self.reopened: list[str] = []
        self._bundle: Bundle | None = None
        (self._folder / LAYERS).mkdir(mode=0o700, exist_ok=True)

    @property
    def id(self) -> str:
        """The machine's GUID, which its guest sees too."""
        return self._record.id

    @property
    def name(self) -> str:
        """A short name, unique on this host."""
        return self._record.name

    @property
    def spec(self) -> MachineSpec:
        """What the machine was asked to be."""
        return self._blueprint.spec

    @property
    def state(self) -> MachineState:
        """What the machine is doing now."""
        return self._life.state if self._life is not None else MachineState.OFF

    @property
    def crash(self) -> GuestCrash | None:
        """How the guest died since the machine was last started or restored."""
        return self._life.crash if self._life is not None else None

    @property
    def address(self) -> str:
        """User-mode networking gives every guest the same private address, unreachable from outside."""
        return "10.0.2.15" if self.spec.network == "nat" else ""

    @property
    def session(self) -> GuestSession:
        """The session into the guest."""
        return self._living().session(REOPEN)

    @property
    def powershell(self) -> Session:
        """The PowerShell session in the guest, adopted or opened when it is first asked for."""
        with bundles.condemned_if_unanswered(self._bundle):
            return self._living().powershell(REOPEN)

    def powershell_pipe(self) -> StreamPipe:
        """The pipe to a PowerShell that is started anew, for a session that is unlike the machine's own.

        It takes the place of that one, and must be closed before ``powershell`` is used again.
        """
        return self._living().powershell_pipe(REOPEN)

    def why(self, lost: SessionLost) -> Exception:
        """What really ended a session: the guest's death, when that is what happened."""
        return self._living().why(lost)

    def _living(self) -> Life:
        if self._life is None:
            raise MachineStateError(
                f"{self.name} must be running to use its guest, it is off", hint="call vm.start().", machine=self.name
            )
        return self._life

    # -- power

    def start(self, timeout: float, ram: Ram | None = None) -> None:
        """Boot from the disk and wait until commands work."""
        if self.state is not MachineState.OFF:
            raise MachineStateError(
                f"{self.name} must be off to be started, it is {self.state}",
                hint="call vm.kill() or vm.shutdown() first.",
                machine=self.name,
            )
        if self._top is None:
            self._new_top()
        self._life = self._new_life(ram or Ram(), incoming=False, inside=Inside())
        self._life.session(timeout)

    def shutdown(self, timeout: float) -> None:
        """Press the power button and wait until the machine is off."""
        life = self._living()
        life.fail_if_dead()
        life.monitor.execute("system_powerdown")
        if not life.wait_for_end(timeout):
            raise MachineStateError(
                f"{self.name} did not power off in {timeout:.0f} s",
                hint="give it more time, or cut the power with vm.kill().",
                machine=self.name,
            )
        self._end_life()

    def kill(self) -> None:
        """Cut the power; the disk stays as the guest left it."""
        self._end_life()

    def pause(self) -> None:
        """Stop the processors."""
        self._living().pause()

    def resume(self) -> None:
        """Let the guest run on; its clock is set to the host's."""
        self._living().resume()
        self.verify_ready()

    def verify_ready(self) -> None:
        """Have the guest answer, with its clock set to the host's."""
        self.session.set_clock(time.time())

    def warm(self) -> None:
        """Have a program run once, which fills the emulator's translation cache, and pause."""
        if self._blueprint.os_family == "linux":
            self.session.run(["true"])
        self.pause()

    def _end_life(self) -> None:
        if self._life is not None:
            self._life.kill()
            self._life = None

    def recycle(self) -> bool:
        """There is no clean point: a new machine costs less than going back."""
        return False

    # -- saved points

    def enter(self, bundle: Bundle) -> None:
        """Become what ``bundle`` holds: running when it has memory, off otherwise. What the machine was is given up.

        The guest has not answered yet: see ``verify_ready``.
        """
        self._end_life()
        self._bundle = bundle
        if self._top is not None:
            self._top.unlink()
            self._top = None
        self._below = bundle.layers
        try:
            self._new_top(bundle.folder / overlay.TEMPLATE)
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
        assert self._top is not None
        layers = tuple(self._moved(layer, folder) for layer in (*self._below, self._top))
        self._top = None
        below = tuple(layer for layer in layers if layer.parent != folder)
        self._write_bundle(folder, layers, memory=True, inside=inside, sealed=below)
        bundles.seal(folder)

    def _moved(self, layer: Path, folder: Path) -> Path:
        """A disk layer in ``folder`` from now on, when it is this machine's own: those of its checkpoints are too."""
        return layer.rename(folder / layer.name) if layer.parent == self._folder / LAYERS else layer

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
            launch=lambda top, ram: self._launch([*self._below, top], ram, self.cable.loose_end(), incoming=True),
        )

    def _freeze_disk(self, life: Life | None) -> tuple[Path, ...]:
        """Put a fresh overlay on top of the disk; returns the layers that no longer change."""
        if self._top is not None:
            self._below = (*self._below, self._top)
        frozen = self._below
        top = self._new_top()
        if life is not None:
            node = disk_chain([top]) | {"node-name": f"{DISK_NODE}{self._layer_count}"}
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

    def screenshot(self) -> bytes:
        """The screen as a PNG file."""
        return seen.screenshot(self._living().monitor, self._folder)

    def dump_memory(self, target: Path, timeout: float) -> None:
        """The guest's memory into ``target``."""
        seen.dump_memory(self._living().monitor, target, timeout)

    def console_text(self) -> str:
        """What the serial console said since the machine was made."""
        return console.read(self._folder)

    def discard(self) -> None:
        """End the machine and strike it out of the ledger."""
        self._end_life()
        self.cable.drop()
        self._ledger.close(self._record)

    def _new_top(self, template: Path | None = None) -> Path:
        self._layer_count += 1
        if template is not None and not (self._folder / overlay.TEMPLATE).exists():
            shutil.copyfile(template, self._folder / overlay.TEMPLATE)
        self._top = overlay.make_overlay(
            self._folder / overlay.TEMPLATE, self._folder / LAYERS / f"{self._layer_count}.qcow2"
        )
        return self._top

    def _new_life(self, ram: Ram, *, incoming: bool, inside: Inside) -> Life:
        assert self._top is not None
        launch = self._launch([*self._below, self._top], ram, self.cable.new_end(), incoming=incoming)
        return Life(self.name, self._folder, launch, inside, self.reopened.append)

    def _launch(self, layers: list[Path], ram: Ram, card: socket.socket | None, *, incoming: bool) -> Launch:
        def argv(channels: Channels) -> list[str]:
            return self._blueprint.command_line(
                name=self.name, uuid=self.id, layers=layers, ram=ram, channels=channels, incoming=incoming
            )

        return Launch(argv, self.spec.tpm, self._record.environment, card)
