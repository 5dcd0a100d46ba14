"""Secure Boot and a TPM 2.0 as a guest sees them: what firmware says, what the kernel refuses, what was measured."""

from __future__ import annotations

import struct

import pytest

from pytest_hyperv import MachineFactory, VirtualMachine

pytestmark = [pytest.mark.hyperv(secure_boot=True, tpm=True), pytest.mark.hyperv_requires("secure-boot", "tpm")]

SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""The UEFI variable; its first four bytes are attributes, the fifth is the value (UEFI 2.10, section 3.3)."""
SIGNATURE_END = b"~Module signature appended~\n"
"""How a signed Linux module ends; before it come the signature and 12 bytes whose last four are its length."""
POLICY, APPLICATION = 7, 23
"""The register with the Secure Boot policy, and one that any program may use (TCG PC Client Platform, 3.3.4)."""


def register(vm: VirtualMachine, number: int) -> str:
    """A SHA-256 platform configuration register, in hexadecimal digits."""
    return vm.read_text(f"/sys/class/tpm/tpm0/pcr-sha256/{number}").strip()


def extend(vm: VirtualMachine, number: int, digest: bytes) -> None:
    """Measure a SHA-256 digest into a register: TPM2_PCR_Extend with an empty password (TPM 2.0 part 3, 22.2)."""
    session = struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)
    body = struct.pack(">II", 0x182, number) + session + struct.pack(">IH", 1, 0x000B) + digest
    command = struct.pack(">HI", 0x8002, len(body) + 6) + body
    vm.run(["dd", "of=/dev/tpm0", f"bs={len(command)}"], input=command).check()


def unsigned(module: bytes) -> bytes:
    """A signed kernel module without its signature."""
    assert module.endswith(SIGNATURE_END)
    facts = module[: -len(SIGNATURE_END)]
    (length,) = struct.unpack(">I", facts[-4:])
    return facts[: -12 - length]


def test_firmware_says_that_secure_boot_is_on(hyperv_vm: VirtualMachine) -> None:
    assert hyperv_vm.read_bytes(SECURE_BOOT)[4] == 1
    assert "[integrity]" in hyperv_vm.read_text("/sys/kernel/security/lockdown")


def test_the_kernel_takes_a_signed_module_and_refuses_it_unsigned(hyperv_vm: VirtualMachine) -> None:
    signed = hyperv_vm.run(["modinfo", "-n", "dummy"]).check().stdout.strip()
    hyperv_vm.write_bytes("/root/dummy.ko", unsigned(hyperv_vm.read_bytes(signed)))

    refused = hyperv_vm.run(["insmod", "/root/dummy.ko"])
    assert not refused
    assert "Key was rejected by service" in refused.stderr
    assert "Loading of unsigned module is rejected" in hyperv_vm.run(["dmesg"]).stdout

    assert hyperv_vm.run(["insmod", signed])


@pytest.mark.hyperv(secure_boot=False, tpm=False)
def test_without_secure_boot_the_unsigned_module_is_taken(hyperv_vm: VirtualMachine) -> None:
    signed = hyperv_vm.run(["modinfo", "-n", "dummy"]).check().stdout.strip()
    hyperv_vm.write_bytes("/root/dummy.ko", unsigned(hyperv_vm.read_bytes(signed)))
    assert hyperv_vm.run(["insmod", "/root/dummy.ko"])


def test_the_guest_has_a_tpm_2(hyperv_vm: VirtualMachine) -> None:
    assert hyperv_vm.run(["test", "-c", "/dev/tpm0"])
    assert hyperv_vm.read_text("/sys/class/tpm/tpm0/tpm_version_major") == "2\n"


def test_equal_machines_measured_the_same_policy_and_have_tpms_of_their_own(hyperv_vm_factory: MachineFactory) -> None:
    one, other = hyperv_vm_factory(2)
    assert int(register(one, POLICY), 16) != 0
    assert register(one, POLICY) == register(other, POLICY)

    assert int(register(one, APPLICATION), 16) == 0
    extend(one, APPLICATION, b"\x01" * 32)
    assert int(register(one, APPLICATION), 16) != 0
    assert int(register(other, APPLICATION), 16) == 0
