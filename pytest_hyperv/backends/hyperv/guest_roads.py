"""Which way leads into the guests of an image, and what it takes."""

from __future__ import annotations

from pytest_hyperv.backends.hyperv.credentials import guest_credential
from pytest_hyperv.backends.hyperv.guest_access import AccessFactory, GuestAccess, MachineView, PowerShellAccess
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.opening import Native, Network, Opener, ThroughHost
from pytest_hyperv.backends.hyperv.saved_state import SavedState
from pytest_hyperv.errors import CapabilityMissing
from pytest_hyperv.psrp import dotnet


def access_to(state: SavedState, host: HypervHost, *, native: bool) -> AccessFactory:
    """Makes the way into each machine of ``state``; ``native`` opens PowerShell Direct from this process.

    Raises CapabilityMissing when this backend has no such road.
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

    if state.guest_road in ("psdirect", "winrm"):
        return by_powershell
    raise CapabilityMissing(
        f"the guests of image {state.image} are reached by {state.guest_road}; this backend has no such road",
        hint="import it with --road psdirect or winrm.",
        missing={"guest road": f"{state.guest_road} is not a road of Hyper-V guests"},
    )
