"""A PowerShell Direct session of one PowerShell process of the host into one life of a guest."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.hvsim.engine.invocation import ScriptInvocation
from tests.hvsim.engine.values import Credential
from tests.hvsim.guest import failures
from tests.hvsim.guest.identity import COMPUTER
from tests.hvsim.guest.system import GuestGone, GuestSystem, Pace
from tests.hvsim.host.faults import field_strikes, strike
from tests.hvsim.host.machines import VirtualMachine, readiness
from tests.hvsim.host.state import World
from tests.hvsim.host.states import StateName
from tests.hvsim.host.world import SimHost

OPENING = 0.5
"""Seconds of the guest's time that an opening takes."""
LOCAL_DOMAINS = ("", ".", "localhost", COMPUTER.casefold())


@dataclass
class GuestSession:
    """What a process holds of a guest. `variables` are the global ones of the guest's PowerShell, casefolded."""

    machine: str
    life: str
    name: str
    user: str
    pid: int
    runspace: uuid.UUID = field(default_factory=uuid.uuid4)
    variables: dict[str, Any] = field(default_factory=dict)
    broken: bool = False

    @property
    def notes(self) -> dict[str, object]:
        """The note properties on everything that comes out of the session."""
        return {"PSComputerName": self.name, "RunspaceId": self.runspace, "PSShowComputerName": True}


def open_session(invocation: ScriptInvocation, machine: str, credential: Credential) -> GuestSession:
    """New-PSSession -VMId. Raises `HostFailure` as that refuses: not running, booting, or the credential."""
    host, streams = invocation.host, invocation.streams
    if _hangs(host, machine):
        while True:
            streams.sleep(0.1)
    streams.sleep(host.real_seconds(OPENING))
    with host.transaction() as world:
        vm = _running_machine(world, machine)
        _admitted(world, vm, credential)
        user = credential.user.rpartition("\\")[2]
        return GuestSession(vm.id, vm.life, vm.name, user, pid=4000 + 4 * int(world.draw() * 1000))


def _hangs(host: SimHost, machine: str) -> bool:
    with host.transaction() as world:
        vm = world.machines.get(machine)
        hung = vm is not None and vm.state == StateName.Running and vm.hung
        return hung or strike(world, "psdirect-hangs", on="New-PSSession", vm=vm) is not None


def _running_machine(world: World, machine: str) -> VirtualMachine:
    vm = world.machines.get(machine)
    if vm is None or world.options.rights == "none":
        raise failures.no_single_machine(machine)
    if vm.state != StateName.Running:
        raise failures.not_running(vm.name)
    return vm


def _admitted(world: World, vm: VirtualMachine, credential: Credential) -> None:
    ready = readiness(vm, world.now)
    if not ready.powershell_direct:
        kinds = failures.refusals()
        raise kinds[int(world.draw() * len(kinds))]
    domain, _, user = credential.user.rpartition("\\")
    known = domain.casefold() in LOCAL_DOMAINS and user.casefold() == world.options.user.casefold()
    if not known or credential.password != world.options.password or not ready.login:
        raise failures.bad_credential()
    if strike(world, "credential-invalid", on="New-PSSession", vm=vm) is not None:
        raise failures.bad_credential()
    first_boot = vm.login_at > vm.direct_at and world.now < vm.login_at + world.options.boot
    if first_boot and field_strikes(world, "credential-invalid"):
        raise failures.bad_credential()


def state_of(invocation: ScriptInvocation) -> str:
    """The session's own word for how it is."""
    session = invocation.process.guest_session
    if session is None:
        return "None"
    if not session.broken and system_of(invocation, session).is_gone():
        session.broken = True
    return "Broken" if session.broken else "Opened"


@contextmanager
def in_session(invocation: ScriptInvocation) -> Iterator[tuple[GuestSession, GuestSystem] | None]:
    """The process's session and its guest, for one call, which begins when the guest does not stand still.

    None when the session is known to have ended, or is found to: the error is written, and the pipeline goes on. The
    same when the guest goes away while the block runs.
    """
    session = invocation.process.guest_session
    if session is None:
        raise failures.no_session()
    if session.broken:
        invocation.streams.error(failures.session_not_open("Broken", session.name))
        yield None
        return
    system = system_of(invocation, session)
    running = False
    try:
        system.attend()
        running = True
        yield session, system
    except GuestGone:
        session.broken = True
        invocation.streams.error(failures.session_lost(running=running))
        if not running:
            yield None


def system_of(invocation: ScriptInvocation, session: GuestSession) -> GuestSystem:
    """The guest that a session leads to."""
    pace = Pace(invocation.streams.sleep, invocation.streams.check)
    return GuestSystem(invocation.host, session.machine, session.life, pace)
