"""A machine as it lives: its power, the ways into its guest, what is seen of it, and who takes it over."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from pathlib import Path

from psutil import Process

from pytest_hyperv.backends.base import GuestCrash, MachineState
from pytest_hyperv.backends.qemu import bundle as bundles
from pytest_hyperv.backends.qemu import console, entrances, seen
from pytest_hyperv.backends.qemu.blueprint import Blueprint
from pytest_hyperv.backends.qemu.bundle import Bundle, Inside
from pytest_hyperv.backends.qemu.cable import Cable
from pytest_hyperv.backends.qemu.command_line import DISK_NODE, Channels, Ram
from pytest_hyperv.backends.qemu.entrances import Entrance
from pytest_hyperv.backends.qemu.instance import Launch
from pytest_hyperv.backends.qemu.layers import Layers
from pytest_hyperv.backends.qemu.life import Life
from pytest_hyperv.backends.qemu.standing import Standing
from pytest_hyperv.errors import MachineStateError, SessionLost
from pytest_hyperv.guest import GuestSession
from pytest_hyperv.ledger import Ledger, Record
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.pipes import StreamPipe
from pytest_hyperv.spec import MachineSpec, OsFamily

VNC = "vnc.sock"
REOPEN = 300.0
"""Seconds a guest that reboots may take until commands work again."""


class LivingMachine:
    """A folder, a disk, and one watched QEMU process after the other. Made off."""

    def __init__(self, ledger: Ledger, record: Record, blueprint: Blueprint, layers: tuple[Path, ...]) -> None:
        self._ledger, self._record, self._blueprint = ledger, record, blueprint
        self._folder = record.folder
        self._disk = Layers(record.folder, layers)
        self._life: Life | None = None
        self._entrance: Entrance | None = None
        self.cable = Cable(there=blueprint.spec.network == "private")
        self.reopened: list[str] = []
        self._bundle: Bundle | None = None

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
    def os_family(self) -> OsFamily:
        """What its guest is."""
        return self._blueprint.os_family

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
        if self._entrance is not None and self._entrance.aside:
            raise MachineStateError(
                f"{self.name} is off, and another process's to start", hint="see pytest-hyperv vms.", machine=self.name
            )
        if self.state is not MachineState.OFF:
            raise MachineStateError(
                f"{self.name} must be off to be started, it is {self.state}",
                hint="call vm.kill() or vm.shutdown() first.",
                machine=self.name,
            )
        if self._disk.top is None:
            self._disk.new_top()
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

    # -- evidence

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
        self._free_entrance()
        self._ledger.close(self._record)

    # -- other processes

    def keep(self, reason: str, seconds: float, *, running: bool) -> Path:
        """Let the machine outlive this process; it is left as ``leave`` does."""
        if self.state is MachineState.RUNNING and not running:
            self._living().pause()
        self._note_standing(self._life)
        self._record = self._ledger.keep(self._record, reason, seconds)
        self.leave()
        return self._folder

    def attach(self, standing: Standing, processes: Sequence[Process], *, guest: bool) -> None:
        """Take over, from what another process wrote down, a machine whose ``processes`` run, or run no more.

        Raises MachineStateError when others are in it, MachineError.
        """
        self._entrance = entrance = entrances.take(self._record, guest=guest)
        self._disk = Layers(self._folder, standing.below, standing.top, standing.count)
        if not processes:
            return
        try:
            self._life = Life(
                self.name,
                self._folder,
                standing.inside,
                lambda instance: instance.attach(processes, entrance.monitor),
                self.reopened.append,
                aside=entrance.aside,
            )
            self._life.disk_node = standing.disk_node
            self._life.look(standing.crash)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Let the machine be as it is, for others to attach to; this object is of no use any more."""
        life, self._life = self._life, None
        if life is not None:
            self._note_standing(life)
            life.leave()
        self.cable.drop()
        self._free_entrance()

    def let_in(self) -> None:
        """Let another process into the guest beside this one: see ``entrances``."""
        if self._life is not None:
            self._note_standing(self._life)
            self._life.let_in()

    def viewers(self) -> tuple[tuple[str, ...], ...]:
        """The screen as a VNC server on a socket in the machine's own folder, and who can show it."""
        self._living().monitor.execute("display-update", type="vnc", addresses=[{"type": "unix", "path": VNC}])
        path = self._folder / VNC
        return ("vncviewer", str(path)), ("remote-viewer", f"vnc+unix://{path}")

    def _note_standing(self, life: Life | None) -> None:
        if self._entrance is None or not self._entrance.aside:
            layers = self._disk
            Standing(
                self.spec,
                self.os_family,
                self._blueprint.accelerator,
                layers.below,
                layers.top,
                layers.count,
                life.disk_node if life else DISK_NODE,
                life.inside if life else Inside(),
                life.crash if life else None,
            ).write(self._folder)

    def _free_entrance(self) -> None:
        entrance, self._entrance = self._entrance, None
        if entrance is not None:
            entrance.lock.release()

    # -- parts

    def _new_life(self, ram: Ram, *, incoming: bool, inside: Inside) -> Life:
        launch = self._launch(self._disk.all, ram, self.cable.new_end(), incoming=incoming)
        life = Life(self.name, self._folder, inside, lambda instance: instance.start(launch), self.reopened.append)
        self._note_standing(life)
        return life

    def _launch(self, layers: list[Path], ram: Ram, card: socket.socket | None, *, incoming: bool) -> Launch:
        def argv(channels: Channels) -> list[str]:
            return self._blueprint.command_line(
                name=self.name, uuid=self.id, layers=layers, ram=ram, channels=channels, incoming=incoming
            )

        return Launch(argv, self.spec.tpm, self._record.environment, card)
