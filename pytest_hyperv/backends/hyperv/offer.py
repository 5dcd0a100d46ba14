"""What a Hyper-V host can do, in words, with the fix for each miss."""

from __future__ import annotations

from uuid import UUID

from pytest_hyperv.backends.hyperv.probe import SERVER_2022, HypervFacts, probe
from pytest_hyperv.capabilities import Capability, HostFacts
from pytest_hyperv.errors import AccessDenied, CapabilityMissing

__all__ = ["DEFAULT_SWITCH", "HypervFacts", "capabilities", "check_usable", "host_facts", "prerequisites", "probe"]

DEFAULT_SWITCH = UUID("c08cb7b8-9b3c-408e-8e30-5e16a3aeb444")
"""The switch with a network through the host that client Windows has; its name is localised, its Id is not."""
NO_RIGHTS = "the account is neither in Administrators nor in Hyper-V Administrators"
YES = Capability(True)


def prerequisites(facts: HypervFacts) -> dict[str, Capability]:
    """What Hyper-V itself needs, as far as it could be asked, with the fix for each miss.

    Once a hypervisor runs, Win32_Processor's answers about virtualization are misleading, mostly false: they describe
    what is left for others. Its running proves them all. So does Get-ComputerInfo judge, which leaves them out then
    (PowerShell's GetComputerInfoCommand.cs, GetHyperVisorInfo).
    """
    running = facts.hypervisor
    found = {
        "slat": YES
        if running or facts.slat
        else Capability(
            False,
            "the processor has no second level address translation (Intel EPT, AMD RVI), which Hyper-V needs",
            "use another computer; in a virtual machine, have its host expose nested virtualization",
        ),
        "virtualization-firmware": YES
        if running or facts.firmware
        else Capability(
            False,
            "virtualization is switched off in the firmware",
            "switch Intel VT-x or AMD-V (SVM) on in the firmware's setup, then power the computer off and on",
        ),
        "module": YES
        if facts.module
        else Capability(False, "the Hyper-V module for PowerShell is not installed", _install(facts)),
        "hypervisor": YES
        if running
        else Capability(
            False, "the hypervisor is not running", f"{_install(facts)}; or: bcdedit /set hypervisorlaunchtype auto"
        ),
    }
    if facts.module:
        found["rights"] = (
            Capability(
                False,
                f"{NO_RIGHTS}: {facts.refused}",
                "add it to the group Hyper-V Administrators and log on again; as an administrator, start elevated",
            )
            if facts.refused
            else YES
        )
        found["service"] = (
            Capability(
                False, f"Get-VMHost failed: {facts.failed}", "see that the service vmms runs: Start-Service vmms"
            )
            if facts.failed
            else YES
        )
    return found


def check_usable(facts: HypervFacts) -> None:
    """Raise CapabilityMissing naming every prerequisite that is missing; AccessDenied when it is rights alone."""
    missing = {name: found for name, found in prerequisites(facts).items() if not found.available}
    if not missing:
        return
    message = f"{facts.host} can run no machines: " + "; ".join(found.reason for found in missing.values())
    hint = "; ".join(found.fix for found in missing.values())
    if [*missing] == ["rights"]:
        raise AccessDenied(message, hint=hint, host=facts.host)
    raise CapabilityMissing(message, hint=hint, missing={name: found.reason for name, found in missing.items()})


def host_facts(facts: HypervFacts) -> HostFacts:
    """Sizes, system and edition."""
    return HostFacts(facts.memory, facts.cpus, facts.disk, os="windows", host=facts.edition)


def capabilities(facts: HypervFacts) -> dict[str, Capability]:
    """Every capability this backend knows. Where a prerequisite is missing, its reason is that of them all."""
    found = {
        "uefi": YES,
        "secure-boot": YES,
        "tpm": YES,
        "nested": _nested(facts),
        "checkpoints": YES,
        "network-nat": _nat(facts),
        "network-private": YES,
        "network-switch": _switch(facts),
        "dynamic-memory": YES,
        "hardware-virtualization": YES,
        "powershell": YES,
        "gpu-partition": _gpu(facts),
        "sr-iov": _sr_iov(facts),
        "shielded": Capability(False, "the hyperv backend has no shielded machines"),
    }
    missing = next((need for need in prerequisites(facts).values() if not need.available), None)
    return found if missing is None else dict.fromkeys(found, missing)


def _install(facts: HypervFacts) -> str:
    if facts.edition == "server":
        return "Install-WindowsFeature Hyper-V -IncludeManagementTools -Restart"
    return (
        "Enable-WindowsOptionalFeature -Online -FeatureName Microsoft-Hyper-V-All "
        "(Pro, Enterprise, Education; Home has no Hyper-V), then restart"
    )


def _nested(facts: HypervFacts) -> Capability:
    """Intel from Windows Server 2016 and Windows 10 on, AMD from Windows Server 2022 and Windows 11 on.

    Source: learn.microsoft.com, "What is Nested Virtualization?", prerequisites. Nothing on the host tells whether the
    processor itself can: where it cannot, Start-VM fails.
    """
    if facts.processor == "GenuineIntel" or (facts.processor == "AuthenticAMD" and facts.build >= SERVER_2022):
        return YES
    if facts.processor == "AuthenticAMD":
        return Capability(
            False,
            f"on AMD processors, virtualization nests from Windows Server 2022 and Windows 11 on; this is build "
            f"{facts.build}",
            "update Windows, or use a host with an Intel processor",
        )
    return Capability(
        False,
        f"virtualization does not nest on processors of {facts.processor}",
        "use a host with an Intel or AMD processor",
    )


def _nat(facts: HypervFacts) -> Capability:
    if any(switch.id == DEFAULT_SWITCH for switch in facts.switches):
        return YES
    return Capability(
        False,
        "the host has no Default Switch, which client Windows brings",
        'make an internal switch with New-NetNat behind it and use network="switch:NAME"',
    )


def _switch(facts: HypervFacts) -> Capability:
    if facts.switches:
        return YES
    return Capability(False, "the host has no virtual switch", "New-VMSwitch -Name NAME -SwitchType Internal")


def _gpu(facts: HypervFacts) -> Capability:
    if facts.gpus:
        return YES
    if facts.build < SERVER_2022:
        return Capability(
            False,
            f"Windows build {facts.build} has no Get-VMHostPartitionableGpu",
            "update to Windows Server 2025 or Windows 11",
        )
    return Capability(
        False, "no GPU of the host can be partitioned", "install a GPU and a driver that support GPU partitioning"
    )


def _sr_iov(facts: HypervFacts) -> Capability:
    if facts.sr_iov:
        return YES
    reasons = "; ".join(facts.sr_iov_reasons) or "the host does not say why"
    return Capability(
        False,
        f"the host cannot use SR-IOV: {reasons}",
        "switch SR-IOV on in the firmware, with a network adapter that has it; then New-VMSwitch -EnableIov $true",
    )
