"""Which way leads into the guests of an image, and what it takes."""

from __future__ import annotations

from uuid import UUID

from pytest_hyperv.backends.hyperv.credentials import guest_credential, guest_login
from pytest_hyperv.backends.hyperv.guest_access import AccessFactory, GuestAccess, MachineView, PowerShellAccess
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.opening import Native, Network, Opener, ThroughHost
from pytest_hyperv.backends.hyperv.saved_state import SavedState
from pytest_hyperv.backends.hyperv.ssh_access import SshAccess
from pytest_hyperv.errors import CapabilityMissing
from pytest_hyperv.psrp import dotnet
from pytest_hyperv.psrp.hvsocket import hyperv_connect

NOBODY = UUID(int=0)
"""No machine has this id: only whether this computer has Hyper-V sockets is asked."""


def access_to(state: SavedState, host: HypervHost, *, native: bool) -> AccessFactory:
    """Makes the way into each machine of ``state``; ``native`` opens PowerShell Direct from this process.

    What can be known before a machine is made is looked at here. Raises CapabilityMissing when this backend or this
    computer has no such road, or the machine no network that it takes; SettingsError when nobody says who logs on.
    """

    def credential() -> dotnet.Credential:
        return guest_credential(state.credentials, state.image).for_wire()

    def opener(machine: MachineView) -> Opener:
        if state.guest_road == "winrm":
            return Network(machine.address, machine.name, credential)
        if native:
            return Native(machine.ident, machine.name, credential)
        return ThroughHost(host, machine.ident, machine.name, credential)

    def by_powershell(machine: MachineView) -> GuestAccess:
        return PowerShellAccess(machine, opener(machine))

    def by_ssh(machine: MachineView) -> GuestAccess:
        return SshAccess(machine, guest_login(state.credentials, state.image, state.key))

    _require_network(state)
    if state.guest_road in ("psdirect", "winrm"):
        if native and state.guest_road == "psdirect":
            hyperv_connect(NOBODY)
        credential()
        return by_powershell
    if state.guest_road == "ssh":
        return by_ssh
    raise CapabilityMissing(
        f"the guests of image {state.image} are reached by {state.guest_road}; this backend has no such road",
        hint="use debian-12-hyperv in place of debian-12; import others with --road psdirect, winrm or ssh.",
        missing={"guest road": f"{state.guest_road} is not a road of Hyper-V guests"},
    )


def _require_network(state: SavedState) -> None:
    if state.guest_road in ("winrm", "ssh") and state.spec.network in ("none", "private"):
        raise CapabilityMissing(
            f"the guests of image {state.image} are reached by {state.guest_road}, over a network; "
            f"a machine with network={state.spec.network!r} has none that leads to them",
            hint='use network="nat" or "switch:NAME".',
            missing={"guest road": f"{state.guest_road} needs a network to the guest"},
        )
