"""What a machine is to be, as frozen data. No behaviour lives here.

Units: memory in bytes, times in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MIB = 1024 * 1024
GIB = 1024 * MIB

SecureBoot = Literal["off", "windows", "uefi-ca"]
"""Off, or on with Microsoft's Windows certificate, or with its UEFI certificate authority (which signs Linux's shim)."""

CheckpointType = Literal["standard", "production", "off"]
"""With memory; without memory, the file systems flushed; or none at all. Hyper-V's words."""

Reset = Literal["test", "class", "module", "session"]
"""How long one machine is shared before the next test gets a clean one."""

OsFamily = Literal["linux", "windows"]


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
