"""What QEMU on this host can do, and why not."""

from __future__ import annotations

import shutil
from pathlib import Path

from pytest_hyperv.backends.qemu.firmware import choose
from pytest_hyperv.backends.qemu.tools import SWTPM
from pytest_hyperv.capabilities import Capability
from pytest_hyperv.errors import HostError

SETUP = "run `pytest-hyperv setup`"
NESTED = (Path("/sys/module/kvm_intel/parameters/nested"), Path("/sys/module/kvm_amd/parameters/nested"))
HYPERV = 'use a Hyper-V host that has it, with backend="hyperv"'
KVM = "use a host with VT-x or AMD-V on and /dev/kvm open to this user; machines are emulated meanwhile"
YES = Capability(True)


def capabilities(no_kvm: str) -> dict[str, Capability]:
    """Every capability this backend knows; ``no_kvm`` is why KVM cannot be used, "" when it can.

    Raises HostError when not even firmware without Secure Boot is there: no machine at all can be made then.
    """
    choose("off")
    return {
        "uefi": YES,
        "secure-boot": _secure_boot(),
        "tpm": YES if shutil.which(SWTPM) else Capability(False, "swtpm is not installed", SETUP),
        "nested": YES if no_kvm else _nested_kvm(),
        "checkpoints": YES,
        "network-nat": YES,
        "network-private": YES,
        "network-switch": Capability(False, "the qemu backend has no named switches", HYPERV),
        "dynamic-memory": YES,
        "hardware-virtualization": Capability(not no_kvm, no_kvm, "" if not no_kvm else KVM),
        "gpu-partition": Capability(False, "the qemu backend has no GPU partitions", HYPERV),
        "sr-iov": Capability(False, "the qemu backend has no SR-IOV adapters", HYPERV),
        "shielded": Capability(False, "the qemu backend has no shielded machines", HYPERV),
    }


def _secure_boot() -> Capability:
    try:
        choose("uefi-ca")
    except HostError as error:
        return Capability(False, error.message, SETUP)
    return YES


def _nested_kvm() -> Capability:
    """Emulated processors always offer virtualization; real ones do when the host's KVM module allows it."""
    for parameter in NESTED:
        if parameter.exists() and parameter.read_text("ascii").strip() in ("1", "Y"):
            return YES
    return Capability(
        False, "KVM on this host does not allow nested virtualization", "load kvm_intel/kvm_amd with nested=1"
    )
