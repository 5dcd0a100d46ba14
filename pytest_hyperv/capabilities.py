"""What a host can do, what a test needs, and the difference in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_hyperv.spec import GIB, MIB

NAMES = {
    "uefi": "machines with UEFI firmware",
    "secure-boot": "Secure Boot under Microsoft's keys",
    "tpm": "a TPM 2.0",
    "nested": "virtualization inside the guest",
    "checkpoints": "checkpoints with memory",
    "network-nat": "a network through the host",
    "network-private": "a private network between machines",
    "network-switch": "a named virtual switch",
    "dynamic-memory": "dynamic memory",
    "hardware-virtualization": "hardware virtualization (KVM, Hyper-V)",
    "powershell": "PowerShell in the guest",
    "gpu-partition": "a partition of the host's GPU",
    "sr-iov": "SR-IOV network adapters",
    "shielded": "shielded machines",
}
"""Every capability a test may require, and what it means."""


@dataclass(frozen=True)
class Capability:
    """Whether a host can do one thing; if not, ``reason`` says why and ``fix`` what would change that."""

    available: bool
    reason: str = ""
    fix: str = ""


@dataclass(frozen=True)
class HostFacts:
    """Sizes of a host. Memory and disk in bytes; ``os`` is "linux" or "windows", ``host`` "server" or "client"."""

    memory: int
    cpus: int
    disk: int
    os: str
    host: str


@dataclass(frozen=True)
class Requirements:
    """What a test needs of its host: capabilities, all of them; minimums (bytes, counts); system and edition; tags."""

    capabilities: frozenset[str] = frozenset()
    memory: int = 0
    cpus: int = 0
    disk: int = 0
    os: str = ""
    host: str = ""
    tags: frozenset[str] = frozenset()

    def merged(self, other: Requirements) -> Requirements:
        """Both sets of needs together, the larger minimum each; the other's words win where they differ."""
        return Requirements(
            self.capabilities | other.capabilities,
            max(self.memory, other.memory),
            max(self.cpus, other.cpus),
            max(self.disk, other.disk),
            other.os or self.os,
            other.host or self.host,
            self.tags | other.tags,
        )


@dataclass(frozen=True)
class Offer:
    """What one backend on one host has to offer. ``tags`` are the words that an inventory has for the host."""

    backend: str
    facts: HostFacts
    capabilities: Mapping[str, Capability] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()

    def missing(self, needs: Requirements) -> dict[str, str]:
        """Every unmet need with its reason in words; empty when the test can run."""
        unmet = {}
        for name in sorted(needs.capabilities):
            capability = self.capabilities.get(name, Capability(False, f"the {self.backend} backend has none"))
            if not capability.available:
                unmet[name] = capability.reason + (f" ({capability.fix})" if capability.fix else "")
        facts = self.facts
        if needs.memory > facts.memory:
            unmet["memory"] = f"{needs.memory / GIB:.1f} GiB needed, the host has {facts.memory / GIB:.1f} GiB"
        if needs.cpus > facts.cpus:
            unmet["cpus"] = f"{needs.cpus} needed, the host has {facts.cpus}"
        if needs.disk > facts.disk:
            unmet["disk"] = f"{needs.disk // MIB} MiB needed, {facts.disk // MIB} MiB are free"
        for what, wanted, present in (("os", needs.os, facts.os), ("host", needs.host, facts.host)):
            if wanted and wanted != present:
                unmet[what] = f"a {wanted} host is needed, this one is {present}"
        for tag in sorted(needs.tags - self.tags):
            unmet[f"tag {tag}"] = f"the host has {', '.join(sorted(self.tags)) or 'no tags'}"
        return unmet
