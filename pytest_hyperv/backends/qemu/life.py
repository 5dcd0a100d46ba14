"""One life of a machine: a QEMU process that is watched from start to end, and the session into the guest it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from pytest_hyperv.backends.base import GuestCrash, MachineState
from pytest_hyperv.backends.qemu import console, road
from pytest_hyperv.backends.qemu.bundle import Inside
from pytest_hyperv.backends.qemu.command_line import DISK_NODE, POWERSHELL_ID
from pytest_hyperv.backends.qemu.guest_connection import Listener
from pytest_hyperv.backends.qemu.guest_powershell import GuestPowerShell
from pytest_hyperv.backends.qemu.instance import Instance
from pytest_hyperv.backends.qemu.qmp import Event, Monitor
from pytest_hyperv.errors import GuestCrashed, HostError, HypervError, MachineStateError, SessionLost
from pytest_hyperv.guest import GuestSession
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.pipes import StreamPipe

GOING_DOWN = 90.0
"""Seconds a guest that said goodbye may take until it is down."""
END_SEEN = 2.0
"""Seconds until the end of a process is seen after the end of its streams."""
ASIDE = 10.0
"""Seconds the agent may take to answer a process beside the one that has the machine; it answers in 0.1."""
WORDS = {
    "panic": "the kernel of {name} panicked",
    "reset": "{name} was reset without shutting down (a triple fault, or a reset that nobody announced)",
    "hypervisor": "the QEMU process of {name} ended unexpectedly",
}


class Life:
    """From power-on, or from a saved state, until the process ends. Never started twice."""

    def __init__(
        self,
        name: str,
        folder: Path,
        inside: Inside,
        begin: Callable[[Instance], None],
        reopened: Callable[[str], None],
        *,
        aside: bool = False,
    ) -> None:
        """``begin`` starts the process, or attaches to one. ``inside``: what of ours runs in the guest, or will.

        ``reopened`` is told of each session that came with that state, did not answer and was opened anew, and why.
        ``disk_node``, the name of the topmost disk in QEMU's block graph, is kept up to date. ``aside``: another
        process has the road into the guest, and what is left is the agent.
        """
        self.name, self.folder = name, folder
        self._lock = threading.RLock()
        self._session: GuestSession | None = None
        self._server_inside = inside.server
        self._reopened = reopened
        self._powershell = GuestPowerShell(
            name, lambda: self._instance.channel("powershell"), inside.powershell, reopened
        )
        self.disk_node = DISK_NODE
        self._crash: GuestCrash | None = None
        self._fault: HypervError | None = None
        self._down = threading.Event()
        self._down.set()
        self._paused = self._ending = self._ended = False
        self._console_before = console.size(folder)
        self._aside = aside
        self._instance = Instance(name, folder, on_event=self._on_event, on_end=self._on_end)
        begin(self._instance)

    @property
    def monitor(self) -> Monitor:
        """QEMU's monitor."""
        return self._instance.monitor

    @property
    def crash(self) -> GuestCrash | None:
        """How the guest died, if it did."""
        return self._crash

    @property
    def state(self) -> MachineState:
        """What the machine is doing."""
        if self._crash is not None:
            return MachineState.CRASHED
        if self._ended:
            return MachineState.OFF
        return MachineState.PAUSED if self._paused else MachineState.RUNNING

    @property
    def inside(self) -> Inside:
        """What of ours runs in the guest, for a state that is saved now."""
        return Inside(server=self._server_inside, powershell=self._powershell.kept)

    def fail_if_dead(self) -> None:
        """Raise what ended this life, or MachineStateError when it ended as it should or is paused."""
        if self._fault is not None:
            raise self._fault
        if self.state is not MachineState.RUNNING:
            raise MachineStateError(
                f"{self.name} must be running to use its guest, it is {self.state}",
                hint="call vm.start() or vm.resume() first.",
                machine=self.name,
            )

    def session(self, timeout: float) -> GuestSession:
        """The session into the guest; opened, or reopened after a reboot, within ``timeout`` seconds."""
        with self._lock:
            self.fail_if_dead()
            if self._session is None or road.ended(self._session):
                self._down.wait(min(timeout, GOING_DOWN))
                self.fail_if_dead()
                listener = Listener(on_bye=self._down.clear, explain=self.why)
                if self._aside:
                    self._session = road.open_agent(self.name, self._instance, self.fail_if_dead, ASIDE)
                    return self._session
                self._session = road.open_session(
                    self.name,
                    self._instance,
                    self._server_inside,
                    self.fail_if_dead,
                    listener,
                    timeout,
                    self._reopened,
                )
                self._server_inside = road.keeps_running(self._session)
            return self._session

    def powershell(self, timeout: float) -> Session:
        """The PowerShell session in the guest: the one that was saved with it, or one opened in ``timeout`` seconds."""
        with self._lock:
            self.fail_if_dead()
            if self._aside:
                raise MachineStateError(
                    f"the PowerShell session of {self.name} is another process's", hint="see pytest-hyperv vms."
                )
            return self._powershell.session(lambda: self.session(timeout), timeout)

    def powershell_pipe(self, timeout: float) -> StreamPipe:
        """The pipe to a PowerShell that is started anew in the guest; see GuestPowerShell.start."""
        with self._lock:
            return self._powershell.start(self.session(timeout))

    def pause(self) -> None:
        """Stop the processors, between two PowerShell calls rather than within one."""
        self._powershell.settle()
        self.monitor.execute("stop")
        self._paused = True

    def resume(self) -> None:
        """Let the processors run."""
        self.monitor.execute("cont")
        self._paused = False

    def look(self, crash: GuestCrash | None) -> None:
        """Take over what QEMU tells of a process that was attached to, and how its guest died before."""
        status = self.monitor.execute("query-status")["status"]
        if crash is not None or status == "guest-panicked":
            crash = crash or GuestCrash("panic", self._panic_text(), time.time())
            self._die(crash.kind, crash.text)
        self._paused = status != "running"

    def leave(self) -> None:
        """Let the process run on as it is, for others to attach to; nothing can be asked of it any more."""
        self._ending = True
        session = self._session
        self._abort(SessionLost(f"{self.name} was left"))
        if session is not None:
            session.close()
        self._instance.leave()
        self._ended = True

    def let_in(self) -> None:
        """Leave the agent to another process, when it is not the road into this guest."""
        self._instance.free("agent")

    def wait_for_end(self, timeout: float) -> bool:
        """Wait until the process has ended; False when ``timeout`` seconds were not enough."""
        return self._instance.wait(timeout)

    def kill(self) -> None:
        """End the process now, the session with it; idempotent."""
        self._ending = True
        self._abort(SessionLost(f"{self.name} was switched off"))
        self._instance.kill()
        self._ended = True

    def _on_event(self, event: Event) -> None:
        kind, data = event.get("event"), event.get("data", {})
        if kind == "GUEST_PANICKED":
            self._die("panic", self._panic_text())
        elif kind == "RESET" and data.get("guest"):
            self._on_reset()
        elif kind == "VSERPORT_CHANGE" and data.get("id") == POWERSHELL_ID:
            self._powershell.port_changed(bool(data.get("open")))
        elif kind == "SHUTDOWN" and data.get("guest"):
            self._ending = True
            self._abort(SessionLost(f"{self.name} was powered off by its guest"))
        elif kind == "BLOCK_IO_ERROR" and data.get("action") == "stop":
            self._paused = True
            what = "no space is left on the host's disk" if data.get("nospace") else str(data.get("reason"))
            self._fault = HostError(f"{self.name} was stopped: {what}", hint=f"free space below {self.folder}.")
            self._abort(self._fault)

    def _on_reset(self) -> None:
        self._down.set()
        session = self._session
        if session is None:
            return
        if road.announced(session):
            self._server_inside = False
            self._abort(SessionLost(f"{self.name} rebooted"))
            return
        text = self._panic_text()
        fault = "Triple fault\n" if "Triple fault" in self._instance.reset_log() else ""
        self._die("panic" if text else "reset", text or fault)

    def _panic_text(self) -> str:
        return console.panic_text(console.read(self.folder, self._console_before))

    def why(self, lost: SessionLost) -> Exception:
        """Why a stream into the guest has ended: with the guest, with QEMU itself, or for a reason of its own."""
        told = self._fault is not None or self._ending
        if not told and self._instance.wait(END_SEEN) and not self._ending:
            self._die("hypervisor", self._instance.complaint())
        return self._fault or lost

    def _on_end(self) -> None:
        self._ended = True
        self._down.set()
        if self._ending or self._crash is not None:
            self._abort(SessionLost(f"{self.name} is off"))
        else:
            self._die("hypervisor", self._instance.complaint())

    def _die(self, kind: str, text: str) -> None:
        if self._crash is not None:
            return
        self._crash = GuestCrash(kind, text, time.time())
        what = WORDS[kind].format(name=self.name)
        self._fault = GuestCrashed(f"{what}\n{text}".rstrip(), machine=self.name, kind=kind, text=text)
        self._abort(self._fault)

    def _abort(self, reason: Exception) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.abort(reason)
        self._powershell.drop(SessionLost(str(reason)))
