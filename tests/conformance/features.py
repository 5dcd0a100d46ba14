"""The things a hypervisor has that this suite asks for, by the numbers under which tests name them."""

from __future__ import annotations

FEATURES = {
    1: "generation-2 machine from a golden image, differencing disk, UEFI",
    2: "Secure Boot on and off",
    3: "TPM 2.0",
    4: "dynamic memory",
    5: "checkpoints with and without memory, trees, restore of any node",
    6: "nested virtualization, and the marker that gates on it",
    7: "a session into the guest without a network; PowerShell where the guest has it",
    8: "networks: none, through the host, private between machines",
    14: "integration services: shutdown, time, file copy",
    15: "what the host is and can do, and the reason for what it cannot",
    18: "a crash of the guest, found and told",
    19: "screen and serial console seen from outside",
}
PROPERTY = "feature"
"""The property of a test report that names one of them."""
