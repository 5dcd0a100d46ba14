"""What every backend offers to the rooms above it: machines made from saved states, driven, and thrown away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from pytest_hyperv.capabilities import Offer
from pytest_hyperv.errors import SessionLost
from pytest_hyperv.guest import GuestSession
from pytest_hyperv.leases import LeaseBook
from pytest_hyperv.ledger import Record
from pytest_hyperv.progress import Progress
from pytest_hyperv.psrp.calls import Runnable
from pytest_hyperv.psrp.result import PowerShellResult
from pytest_hyperv.spec import Image, MachineSpec, OsFamily


class MachineState(StrEnum):
    """What a machine is doing."""

    OFF = "off"
    RUNNING = "running"
    PAUSED = "paused"
    CRASHED = "crashed"


@dataclass(frozen=True)
class GuestCrash:
    """How a guest died.

    ``kind``: "panic" (the kernel gave up), "reset" (a triple fault, or a reset nobody announced), "bugcheck" (Windows),
    "hypervisor" (the process that ran the machine ended). ``text`` is what it left behind, ``time`` seconds since 1970.
    """

    kind: str
    text: str
    time: float


@dataclass(frozen=True)
class Checkpoint:
    """A point saved on one machine. ``parent`` is the id of the checkpoint it grew from, "" for the machine's state."""

    id: str
    name: str
    memory: bool
    parent: str
    created: float


class PowerShellSession(Protocol):
    """PowerShell in a guest, as far as tests use it."""

    def run(self, what: Runnable, *, timeout: float) -> PowerShellResult:
        """Run a call to its end; its errors are in the result. Raises CommandTimeout, SessionLost."""
        ...


class Machine(Protocol):
    """One machine of a backend. Every wait has a deadline and ends at once when the guest dies."""

    @property
    def id(self) -> str:
        """A GUID."""
        ...

    @property
    def name(self) -> str:
        """A short name for people; made of safe characters."""
        ...

    @property
    def spec(self) -> MachineSpec:
        """What the machine was asked to be."""
        ...

    @property
    def os_family(self) -> OsFamily:
        """What its guest is: "linux" or "windows"."""
        ...

    @property
    def state(self) -> MachineState:
        """What it is doing now."""
        ...

    @property
    def crash(self) -> GuestCrash | None:
        """How the guest died, if it did since it was last started or restored."""
        ...

    @property
    def session(self) -> GuestSession:
        """The open session into the guest, reopened when the guest has rebooted.

        Raises MachineStateError or BootTimeout.
        """
        ...

    @property
    def powershell(self) -> PowerShellSession:
        """The open PowerShell session in the guest. Raises GuestError when the guest has none."""
        ...

    @property
    def reopened(self) -> Sequence[str]:
        """Why sessions were opened anew that were saved with the machine and did not answer, one line for each."""
        ...

    def why(self, lost: SessionLost) -> Exception:
        """What really ended a session: the guest's death, when that is what happened, or ``lost`` itself."""
        ...

    @property
    def address(self) -> str:
        """The guest's network address; "" when it has no network."""
        ...

    @property
    def current(self) -> str:
        """The id of the checkpoint the machine last left from, "" for its state."""
        ...

    def start(self, timeout: float) -> None:
        """Boot and wait until commands work. Raises BootTimeout."""
        ...

    def shutdown(self, timeout: float) -> None:
        """Ask the guest to power off and wait for it.

        Raises MachineStateError when it does not in ``timeout`` seconds.
        """
        ...

    def kill(self) -> None:
        """Cut the power."""
        ...

    def pause(self) -> None:
        """Stop the processors; memory stays."""
        ...

    def resume(self) -> None:
        """Let a paused machine run on, with its clock set."""
        ...

    def warm(self) -> None:
        """Pay now what the first command of a fresh machine costs, then pause, to be resumed when somebody needs it."""
        ...

    def recycle(self) -> bool:
        """Be as a clean machine is, running and ready for the next test; False when it has no clean point."""
        ...

    def checkpoint(self, name: str, *, memory: bool) -> Checkpoint:
        """Save a point to come back to; the machine goes on as it was."""
        ...

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a point: running when it was saved with memory, off otherwise."""
        ...

    def delete_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Forget a point; the points that grew from it stay."""
        ...

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All points, oldest first."""
        ...

    def screenshot(self) -> bytes:
        """The screen as a PNG file."""
        ...

    def console_text(self) -> str:
        """What the serial console said since this machine was made."""
        ...

    def dump_memory(self, target: Path, timeout: float) -> None:
        """The guest's memory into the file ``target``. Raises CapabilityMissing, MachineError."""
        ...

    def discard(self) -> None:
        """End the machine and remove everything of it; idempotent."""
        ...

    def keep(self, reason: str, seconds: float, *, running: bool) -> Path:
        """Let the machine outlive this process, for ``seconds`` (0: no end), and `leave` it: paused unless ``running``.

        Returns the folder where it is written down. Raises LeaseLost when it is gone.
        """
        ...

    def leave(self) -> None:
        """Let go of a machine that was attached to, as it is; idempotent. This object is of no use then."""
        ...

    def let_in(self) -> None:
        """From now on have other processes able to attach to this one's machine and to use its guest."""
        ...

    def viewers(self) -> tuple[tuple[str, ...], ...]:
        """Programs with arguments, the best first, each of which shows the screen and takes the keyboard.

        Raises MachineStateError when the machine is off.
        """
        ...


class Network(Protocol):
    """A private network: the machines that have joined it reach each other, and nothing else reaches them."""

    def join(self, machine: Machine) -> str:
        """Connect a machine whose spec says ``network="private"``; saying it again changes nothing.

        Returns the hardware address that the guest must take, "" when its adapter has one of its own.
        """
        ...

    def close(self) -> None:
        """Remove the network; machines that are still on it are cut off. Idempotent."""
        ...


class Backend(Protocol):
    """A hypervisor, as far as the rest of the plugin knows it."""

    @property
    def name(self) -> str:
        """The word users select it by."""
        ...

    @property
    def summary(self) -> str:
        """One line for the header: version and acceleration."""
        ...

    @property
    def recycles(self) -> bool:
        """Whether going back to a clean machine costs less than a new one: see ``Machine.recycle``."""
        ...

    @property
    def leases(self) -> LeaseBook:
        """The book of who holds what on this backend's host."""
        ...

    def offer(self) -> Offer:
        """What this host can do, with the reason for what it cannot. Raises HostError when it can make no machine."""
        ...

    def fingerprint(self, spec: MachineSpec) -> Mapping[str, str]:
        """What a saved state of ``spec`` depends on beside the image: versions, firmware, acceleration."""
        ...

    def build_state(self, image: Image, spec: MachineSpec, folder: Path, progress: Progress) -> None:
        """Boot a machine from ``image`` and save it, running and ready for commands, into the empty ``folder``."""
        ...

    def clone(self, state: Path, purpose: str) -> Machine:
        """A running machine made from the state saved in ``state``. Raises StateError when that is damaged."""
        ...

    def saved_spec(self, state: Path) -> MachineSpec:
        """What the machines of the state saved in ``state`` are. Raises StateError when that is damaged."""
        ...

    def attach(self, record: Record, *, guest: bool) -> Machine:
        """The machine of a record of this backend, made by another process: kept, or in the hands of a living run.

        To be left by ``Machine.leave``. Without ``guest`` only what is seen from outside is wanted, and the better way
        in is left to others. Raises MachineStateError when there is no way in beside those who are in it already.
        """
        ...

    def save_state(self, machine: Machine, folder: Path) -> None:
        """Leave a running machine of this backend, as it is and ready for commands, as a state in the empty ``folder``.

        The machine is only good for being discarded afterwards; the state it was made from must stay. Raises
        MachineStateError when the machine does not run, HostError, StateError.
        """
        ...

    def remove_state(self, state: Path) -> None:
        """Remove what the state saved in ``state`` has outside of that folder."""
        ...

    def open_network(self, purpose: str) -> Network:
        """A private network that nobody is on yet; ``purpose`` says for whom. Raises HostError."""
        ...

    def close(self) -> None:
        """End what was opened to reach the host; idempotent. Machines must be gone."""
        ...
