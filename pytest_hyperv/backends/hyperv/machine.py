"""A machine of this backend: a Hyper-V VM addressed by its GUID, and the way into its guest."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from uuid import UUID

from pytest_hyperv.backends.base import Checkpoint, GuestCrash, MachineState, PowerShellSession
from pytest_hyperv.backends.hyperv import cmdlets, moving, screen
from pytest_hyperv.backends.hyperv.console import Console
from pytest_hyperv.backends.hyperv.guest_access import AccessFactory, MachineView
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.places import Place
from pytest_hyperv.backends.hyperv.points import Points
from pytest_hyperv.backends.hyperv.power import Power
from pytest_hyperv.backends.hyperv.removal import remove_machine, settled
from pytest_hyperv.backends.hyperv.saved_state import SavedState
from pytest_hyperv.errors import CapabilityMissing, CmdletError, CopyError, MachineStateError, SessionLost
from pytest_hyperv.guest import GuestSession
from pytest_hyperv.ledger import Ledger, Record
from pytest_hyperv.spec import MachineSpec, OsFamily

COPY_DISK = 3600.0
"""Seconds a machine's disk may take to be copied on its host."""
READY = 120.0
"""Seconds a machine that comes back with its memory may take until its guest answers."""


class HypervMachine:
    """See ``backends.base.Machine``.

    ``origin`` is the state it was made from. ``access`` makes the way into the guest; ``console`` says whether its
    serial port is read.
    """

    def __init__(
        self,
        host: HypervHost,
        ledger: Ledger,
        record: Record,
        place: Place,
        ident: UUID,
        origin: SavedState,
        access: AccessFactory,
        *,
        console: bool,
    ) -> None:
        self._host, self._ledger, self._record, self._place = host, ledger, record, place
        self._ident, self.origin = ident, origin
        self._power = Power(host, ident, record.name)
        self._points = Points(host, ident)
        self._guest = access(
            MachineView(
                ident,
                record.name,
                record.folder,
                lambda: self.address,
                self._power.watch,
                self._power.why,
                self.copy_from_host if host.road.is_local else None,
            )
        )
        self._console = Console(host, f"{record.name}-com1", record.folder / "console.log", wanted=console)
        self._lock = threading.RLock()
        self.current = ""

    @property
    def id(self) -> str:
        """The machine's GUID on its host."""
        return str(self._ident)

    @property
    def name(self) -> str:
        """Its name there."""
        return self._record.name

    @property
    def spec(self) -> MachineSpec:
        """What the machine was asked to be."""
        return self.origin.spec

    @property
    def os_family(self) -> OsFamily:
        """What its guest is."""
        return self.origin.os_family

    @property
    def state(self) -> MachineState:
        """What the machine is doing now, as the host says."""
        return self._power.state

    @property
    def crash(self) -> GuestCrash | None:
        """How the guest died since the machine was last started or restored."""
        return self._power.crash

    @property
    def address(self) -> str:
        """The guest's first IPv4 address, as it tells it itself; "" when it has told none, or nobody can reach it."""
        if self.spec.network == "private":
            return ""
        told = self._host.ask(cmdlets.addresses(self._ident)).all
        found = [str(address) for adapter in told for address in adapter.IPAddresses or ()]
        return next((address for address in found if ":" not in address), "")

    @property
    def session(self) -> GuestSession:
        """The session into the guest, opened when the first call needs it."""
        self._power.require_not_paused()
        return self._guest.session

    @property
    def powershell(self) -> PowerShellSession:
        """The PowerShell session in the guest."""
        self._power.require_not_paused()
        return self._guest.powershell

    @property
    def reopened(self) -> tuple[str, ...]:
        """No session is saved with a machine of this backend: each is opened when it is first needed."""
        return ()

    def why(self, lost: SessionLost) -> Exception:
        """What really ended a session: the guest's death, when that is what happened."""
        return self._power.why(lost)

    def copy_from_host(self, source: str, target: str, timeout: float) -> None:
        """A file of the host into the guest, through the guest service interface. Raises CopyError."""
        try:
            self._host.do(cmdlets.file_copied(self._ident, source, target), timeout=timeout)
        except CmdletError as error:
            raise CopyError(f"{source} could not be copied to {target}: {error.message}", path=target) from error

    # -- power

    def start(self, timeout: float) -> None:
        """Boot and wait until commands work."""
        with self._lock:
            if (state := self.state) is not MachineState.OFF:
                raise MachineStateError(
                    f"{self.name} must be off to be started, it is {state}",
                    hint="call vm.kill() or vm.shutdown() first.",
                    machine=self.name,
                )
            self.power_on()
            self.await_ready(timeout)
            self.verify_ready()

    def power_on(self) -> None:
        """Start, without waiting for the guest."""
        self._power.start()
        self._console.follow()

    def await_ready(self, timeout: float) -> None:
        """Wait for a guest that boots: first for its heartbeat, which alone is no readiness, then for a session."""
        began = time.monotonic()
        self._power.await_heartbeat(timeout)
        self._guest.open(timeout - (time.monotonic() - began), booting=True)

    def shutdown(self, timeout: float) -> None:
        """Ask the guest to power off and wait for it."""
        with self._lock:
            self._guest.drop()
            self._power.shut_down(timeout)

    def kill(self) -> None:
        """Cut the power."""
        with self._lock:
            self._power.off()
            self._guest.drop()

    def pause(self) -> None:
        """Stop the processors."""
        self._power.pause()

    def save(self) -> None:
        """Write memory to the host's disk and stop; `start` goes on from there."""
        with self._lock:
            self._guest.drop()
            self._power.save()

    def resume(self) -> None:
        """Let a paused machine run on, its clock set; one that was warm has never stopped."""
        if self.state is MachineState.PAUSED:
            self._power.resume()
        self.verify_ready()

    def warm(self) -> None:
        """Have the guest answer once. The machine goes on running: a pause would end its session."""
        self._guest.session.ping(READY)

    def verify_ready(self) -> None:
        """Have the guest answer, with its clock set to this machine's."""
        self._guest.session.set_clock(time.time())

    # -- checkpoints

    def checkpoint(self, name: str, *, memory: bool) -> Checkpoint:
        """Save a point to come back to."""
        with self._lock:
            state = self.state
            if state is MachineState.CRASHED:
                raise MachineStateError(
                    f"{self.name} must be running, paused or off to take a checkpoint, it is crashed",
                    hint="restore an earlier checkpoint first.",
                    machine=self.name,
                )
            taken = self._points.take(name, memory=memory, running=state is not MachineState.OFF)
            self.current = taken.id
            return taken

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a point: running when it was saved with memory, off otherwise."""
        with self._lock:
            try:
                self._go_back(UUID(checkpoint.id), memory=checkpoint.memory)
            except CmdletError:
                self._points.require(checkpoint.id)
                raise
            self.current = checkpoint.id

    def delete_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Forget a point; the points that grew from it stay."""
        with self._lock:
            self._points.remove(checkpoint.id)
            if self.current == checkpoint.id:
                self.current = checkpoint.parent

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All points a test took, oldest first."""
        return self._points.all()

    def keep_as_clean(self) -> None:
        """Take the point that ``recycle`` goes back to. Raises MachineStateError when the machine ended meanwhile."""
        seen = self._points.take_base()
        if seen.state != "Running":
            raise MachineStateError(
                f"{self.name} did not live to have its clean point, it is {seen}",
                hint="see whether the host was restarted meanwhile.",
                machine=self.name,
            )

    def recycle(self) -> bool:
        """Go back to the clean point, everything since forgotten."""
        if self._points.base is None:
            return False
        with self._lock:
            self._go_back(self._points.base, memory=True, alone=True)
            self._points.strangers = False
            self.current = ""
        return True

    def _go_back(self, point: UUID, *, memory: bool, alone: bool = False) -> None:
        self._guest.drop()
        way = self._points.way_back(point, alone=alone)
        if memory:
            self._power.start_after(way)
            self._console.follow()
            self._guest.open(READY, booting=False)
            self.verify_ready()
        else:
            self._power.stay_off(way)
            settled(self._host, self._ident)

    def export(self, folder: str) -> str:
        """Write the machine with its disks and checkpoints below a folder of the host: the path of its configuration.

        See ``HypervBackend.imported``. Raises CmdletError.
        """
        with self._lock:
            return moving.export(self._host, self._ident, self.name, folder)

    # -- evidence

    def screenshot(self) -> bytes:
        """The screen as a PNG file."""
        return screen.screenshot(self._host, self._ident)

    def console_text(self) -> str:
        """What the serial port said since the machine was made; of Windows guests, since this was first asked for."""
        return self._console.text()

    def dump_memory(self, target: Path, timeout: float) -> None:  # noqa: ARG002 - there is no way
        """Hyper-V has no cmdlet that reads a guest's memory from outside."""
        raise CapabilityMissing(
            "Hyper-V does not give out the memory of a guest",
            hint=r'have the guest write its own, and fetch it: evidence=[r"C:\Windows\MEMORY.DMP"].',
        )

    def give_disk_away(self) -> None:
        """Seal the disk of a machine that is off, and let it outlive the machine."""
        self._host.do(cmdlets.read_only(self._place.disk))
        self._place = self._place.without_disk(self._record)

    def copy_disk(self, target: str) -> None:
        """Copy the disk of a machine that is off to a new file of the host, every checkpoint merged into it first."""
        with self._lock:
            self._points.remove_all()
            self._host.do(cmdlets.copied(self._place.disk, target), timeout=COPY_DISK)

    # -- other processes

    def keep(self, reason: str, seconds: float, *, running: bool) -> Path:
        """Let the machine outlive this process. Paused it keeps its memory on the host."""
        with self._lock:
            if not running and self.state is MachineState.RUNNING:
                self._guest.drop()
                self._power.pause()
            self._record = self._ledger.keep(self._record, reason, seconds)
            self.leave()
            return self._record.folder

    def attach(self) -> None:
        """Begin with a machine that another process made: its guest's life counts from now."""
        self._power.attach()

    def leave(self) -> None:
        """Close the ways into the guest; the machine stays as it is."""
        self._console.close()
        self._guest.close()

    def let_in(self) -> None:
        """Hyper-V gives every process a session of its own."""

    def viewers(self) -> tuple[tuple[str, ...], ...]:
        """Hyper-V's own viewer, a program of Windows."""
        where = "localhost" if self._host.road.is_local else self._host.name
        return (("vmconnect.exe", where, self.name, "-G", self.id),)

    def discard(self) -> None:
        """Remove the machine and its files from the host, and strike it out of the ledger."""
        with self._lock:
            self._console.close()
            self._guest.close()
            remove_machine(self._host, self._place)
            self._ledger.close(self._record)
