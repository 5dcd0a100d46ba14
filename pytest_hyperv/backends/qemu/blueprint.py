"""Everything that stays the same over all lives of one machine and of every machine cloned from its states."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_hyperv.backends.qemu import bundle as bundles
from pytest_hyperv.backends.qemu.bundle import Bundle, Inside
from pytest_hyperv.backends.qemu.command_line import Channels, Ram, command_line
from pytest_hyperv.backends.qemu.firmware import Firmware, choose
from pytest_hyperv.spec import MachineSpec, OsFamily


@dataclass(frozen=True)
class Blueprint:
    """A machine's spec together with what this host runs it with. ``accelerator`` is "kvm" or "tcg"."""

    spec: MachineSpec
    os_family: OsFamily
    accelerator: str
    firmware: Firmware

    @classmethod
    def of(cls, spec: MachineSpec, os_family: OsFamily, accelerator: str) -> Blueprint:
        """The blueprint for ``spec`` with firmware of this host. Raises HostError when none fits."""
        return cls(spec, os_family, accelerator, choose(spec.secure_boot))

    @property
    def ram_size(self) -> int:
        """Bytes of guest memory that QEMU sets up: the maximum when memory is dynamic."""
        return self.spec.dynamic_memory[1] if self.spec.dynamic_memory else self.spec.memory

    def command_line(
        self, *, name: str, uuid: str, layers: Sequence[Path], ram: Ram, channels: Channels, incoming: bool
    ) -> list[str]:
        """QEMU's arguments for one life on ``layers`` and ``ram``."""
        return command_line(
            self.spec,
            name=name,
            uuid=uuid,
            accelerator=self.accelerator,
            firmware=self.firmware,
            os_family=self.os_family,
            layers=layers,
            ram=ram,
            ram_size=self.ram_size,
            channels=channels,
            incoming=incoming,
        )

    def digest(self) -> str:
        """A digest over the virtual hardware: saved memory fits no machine whose digest differs."""
        argv = self.command_line(
            name="", uuid="", layers=[Path()], ram=Ram(), channels=Channels(0, 0, 0, 0), incoming=False
        )
        digest = hashlib.sha256("\0".join(argv).encode())
        for path in (self.firmware.code, self.firmware.variables):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def bundle(
        self,
        folder: Path,
        layers: tuple[Path, ...],
        *,
        memory: bool,
        inside: Inside,
        sealed: tuple[Path, ...] = (),
    ) -> Bundle:
        """The facts of what was saved in ``folder``, from the files that lie there now, and from ``sealed`` layers."""
        return Bundle(
            folder=folder,
            spec=self.spec,
            os_family=self.os_family,
            layers=layers,
            memory=memory,
            inside=inside,
            accelerator=self.accelerator,
            sizes=bundles.measured(folder, sealed),
        )
