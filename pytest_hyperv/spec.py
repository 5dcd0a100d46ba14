"""What a machine is to be, as frozen data. No behaviour lives here.

Units: memory in bytes, times in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

MIB = 1024 * 1024
GIB = 1024 * MIB

BootTemplate = Literal["off", "windows", "uefi-ca"]
"""What an image boots under: nothing, Microsoft's Windows certificate, or its UEFI one."""

SecureBoot = Literal["off", "on", "windows", "uefi-ca"]
"""Off, on with what the image boots under, or with Microsoft's Windows certificate, or its UEFI one (Linux's shim)."""

CheckpointType = Literal["standard", "production", "off"]
"""With memory; without memory, the file systems flushed; or none at all. Hyper-V's words."""

Reset = Literal["test", "class", "module", "session"]
"""How long one machine is shared before the next test gets a clean one."""

OsFamily = Literal["linux", "windows"]

DiskFormat = Literal["qcow2", "vhdx", "raw"]

GuestRoad = Literal["agent", "psdirect", "winrm", "ssh"]
"""How commands reach a guest of an image: QEMU's agent, PowerShell Direct, or the network."""

SSH_KEY = "ssh_key"
"""Name of the file with the private key that an image carries."""


@dataclass(frozen=True)
class MachineSpec:
    """Everything that decides what a machine is made of. Two equal specs on one image give one state."""

    image: str = "debian-12"
    memory: int = 512 * MIB
    dynamic_memory: tuple[int, int] | None = None
    cpus: int = 1
    generation: int = 2
    secure_boot: SecureBoot = "off"
    tpm: bool = False
    nested: bool = False
    network: str = "none"
    checkpoints: CheckpointType = "standard"

    def on(self, image: Image) -> MachineSpec:
        """This spec with what it leaves to its image decided: the Secure Boot template."""
        if self.secure_boot != "on":
            return self
        return replace(self, secure_boot=image.secure_boot if image.secure_boot != "off" else "uefi-ca")

    @property
    def summary(self) -> str:
        """The spec in a few words, for progress and reports."""
        words = [f"{self.memory // MIB} MiB", f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}"]
        words += ["Secure Boot"] if self.secure_boot != "off" else []
        words += ["TPM"] if self.tpm else []
        words += ["nested"] if self.nested else []
        return ", ".join(words)


@dataclass(frozen=True)
class Image:
    """A sealed golden disk and its facts.

    ``digest`` is "sha256:..." of the disk file, ``virtual_size`` the bytes a guest sees, ``guest_road`` how commands
    reach the guest, ``credentials`` a reference such as "env:NAME" or "keyring:service/user" and never a secret
    ("key:USER" for the key beside the disk), ``secure_boot`` the template it boots under, ``kernel`` its Linux kernel's
    release ("" for others), ``created`` an ISO time, ``format`` that of the disk file.
    """

    name: str
    folder: Path
    digest: str
    virtual_size: int
    os_family: OsFamily
    guest_road: GuestRoad
    credentials: str
    secure_boot: BootTemplate
    powershell: bool
    kernel: str
    created: str
    format: DiskFormat = "qcow2"

    @property
    def disk(self) -> Path:
        """The disk, a file that stands alone."""
        return self.folder / f"disk.{self.format}"

    @property
    def ssh_key(self) -> Path:
        """The private key of the guest's account, there when ``credentials`` is "key:USER"."""
        return self.folder / SSH_KEY
