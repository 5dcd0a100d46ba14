"""A machine's power on its host, and what is known of its guest's life: when it began, and how it ended."""

from __future__ import annotations

from uuid import UUID

from pytest_hyperv.backends.base import GuestCrash, MachineState
from pytest_hyperv.backends.hyperv import cmdlets
from pytest_hyperv.backends.hyperv.events import crash_since
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.making import start
from pytest_hyperv.backends.hyperv.removal import power_off
from pytest_hyperv.backends.hyperv.seen import (
    OFF,
    Seen,
    await_state,
    critical,
    fail_if_critical,
    find,
    look,
    wait_until,
)
from pytest_hyperv.errors import (
    CmdletError,
    CommandTimeout,
    GuestCrashed,
    MachineError,
    MachineStateError,
    SessionLost,
)
from pytest_hyperv.psrp.calls import Call

EVENT_LAG = 3.0
"""Seconds by which the event of a crash may come after its consequence."""
WORDS = {
    "bugcheck": "the guest of {name} crashed",
    "reset": "{name} was reset by a triple fault of its guest",
    "hypervisor": "the worker process of {name} died on the host",
}
STATES = {
    "Paused": MachineState.PAUSED,
    "Pausing": MachineState.PAUSED,
    "Off": MachineState.OFF,
    "Saved": MachineState.OFF,
}
ON = frozenset({"Running", "Starting", "Resuming", "Stopping", "Reset"})


class Power:
    """The power switch of one machine."""

    def __init__(self, host: HypervHost, ident: UUID, name: str) -> None:
        self._host, self._ident, self._name = host, ident, name
        self._began: object = None
        self._paused = False
        self._crash: GuestCrash | None = None

    @property
    def state(self) -> MachineState:
        """What the machine is doing; crashed also when its guest has restarted by itself after the crash."""
        if self._crash is not None:
            return MachineState.CRASHED
        seen = find(self._host, self._ident)
        if seen is None:
            return MachineState.OFF
        if seen.state in OFF and self.crash is not None:
            return MachineState.CRASHED
        state = seen.state.removesuffix("Critical")
        return STATES.get(state, MachineState.RUNNING if state in ON else MachineState.OFF)

    @property
    def crash(self) -> GuestCrash | None:
        """How the guest died since the machine was last started or restored."""
        if self._crash is None:
            self._crash = crash_since(self._host, self._ident, self._began)
        return self._crash

    def attach(self) -> None:
        """Know what there is to know of a machine that another process started."""
        self._began, told = self._host.ask(cmdlets.now().then(cmdlets.seen(self._ident))).all
        self._paused = Seen.of(told).state == "Paused"

    def start(self) -> None:
        """Start, or resume from a saved state. Raises CmdletError with what the host lacks."""
        self._crash, self._paused = None, False
        self._began, _ = start(self._host, self._ident)

    def start_after(self, before: Call) -> None:
        """Do what comes before in the same round trip, then start. All of it may be done again."""
        self._crash, self._paused = None, False
        self._began, _ = self._host.do(before.then(cmdlets.started(self._ident))).all[-2:]

    def stay_off(self, call: Call) -> None:
        """Do what leaves the machine off; what its guest died of is past then. All of it may be done again."""
        self._host.do(call)
        self._crash, self._began, self._paused = None, None, False

    def watch(self) -> None:
        """Raise when there is no sense in waiting for the guest.

        It crashed (also when it restarted by itself since), is off or paused, or its storage is gone.
        """
        seen = look(self._host, self._ident)
        fail_if_critical(seen)
        if self.crash is not None or seen.state in OFF:
            raise self.death() or self.must_run(f"it is {MachineState.OFF}")
        if seen.state == "Paused":
            raise self.must_run("it is paused", hint="call vm.resume().")

    def await_heartbeat(self, timeout: float) -> Seen:
        """Wait until the guest's heartbeat service answers. Raises BootTimeout, GuestCrashed, MachineError."""

        def once() -> Seen:
            seen = look(self._host, self._ident)
            fail_if_critical(seen)
            if seen.state in OFF:
                raise self.death() or self.must_run("it went off while it booted")
            return seen

        return wait_until(
            once,
            lambda seen: seen.state == "Running" and seen.beating,
            told=lambda seen: f"{self._name} did not boot: it is {seen}",
            timeout=timeout,
        )

    def off(self) -> None:
        """Cut the power; what the guest died of is past then."""
        power_off(self._host, self._ident)
        self._crash, self._began, self._paused = None, None, False

    def shut_down(self, timeout: float) -> None:
        """Ask the guest to power off and wait for it. Raises MachineStateError."""
        process = self._host.open_process()
        try:
            process.call(cmdlets.shut_down(self._ident), timeout=timeout)
            self._await_off(timeout)
        except (CommandTimeout, CmdletError, SessionLost) as error:
            self._require_off(timeout, error)
        finally:
            process.close()

    def pause(self) -> None:
        """Stop the processors."""
        self._host.do(cmdlets.paused(self._ident), achieved=lambda: self._now("Paused"))
        self._paused = True

    def save(self) -> None:
        """Write memory to the host's disk and stop."""
        self._host.do(cmdlets.saved(self._ident), achieved=lambda: self._now("Saved"))
        self._paused = False

    def resume(self) -> None:
        """Let a paused machine run on."""
        self._host.do(cmdlets.resumed(self._ident), achieved=lambda: self._now("Running"))
        self._paused = False

    def require_not_paused(self) -> None:
        """Raise MachineStateError for a machine we paused: its guest would let every call wait for its deadline."""
        if self._paused:
            raise self.must_run("it is paused", "call vm.resume().")

    def why(self, lost: SessionLost) -> Exception:
        """What really ended a session: the guest's death when that is what happened, or ``lost`` itself."""
        seen = find(self._host, self._ident)
        if seen is None:
            return MachineError(f"{self._name} is not on {self._host.name} any more", machine=self._name)
        if seen.critical:
            return critical(seen)
        return self.death() or (self.must_run(f"it is {MachineState.OFF}") if seen.state in OFF else lost)

    def death(self) -> GuestCrashed | None:
        """The guest's crash as an exception; the event of one may come a little late."""
        try:
            wait_until(
                lambda: self.crash, lambda crash: crash is not None, told=lambda _: "no crash", timeout=EVENT_LAG
            )
        except MachineError:
            return None
        assert self._crash is not None
        return GuestCrashed(
            WORDS[self._crash.kind].format(name=self._name) + f": {self._crash.text}",
            machine=self._name,
            kind=self._crash.kind,
            text=self._crash.text,
        )

    def must_run(self, found: str, hint: str = "call vm.start().") -> MachineStateError:
        """The error of something that needs a running guest."""
        return MachineStateError(
            f"{self._name} must be running to use its guest, {found}", hint=hint, machine=self._name
        )

    def _now(self, state: str) -> bool | None:
        return True if look(self._host, self._ident).state == state else None

    def _await_off(self, timeout: float) -> None:
        """Off twice: it can be seen before the halt has come to its end, and while a machine resets (openvmm)."""
        for _ in range(2):
            await_state(
                self._host,
                self._ident,
                lambda seen: seen.state in OFF and not seen.busy,
                what=f"did not power off in {timeout:.0f} s",
                timeout=timeout,
            )

    def _require_off(self, timeout: float, error: CmdletError | CommandTimeout | SessionLost) -> None:
        """A failed request may have worked all the same; the host also throws while a guest boots."""
        seen = look(self._host, self._ident)
        if seen.state not in OFF:
            raise MachineStateError(
                f"{self._name} did not power off in {timeout:.0f} s, it is {seen}: {error.message}",
                hint="give it more time, or cut the power with vm.kill().",
                machine=self._name,
            ) from error
