"""One clean machine after the other, by our own roads, from states as a suite has them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pytest_hyperv.backends.qemu.backend import QemuBackend
from pytest_hyperv.backends.qemu.machine import QemuMachine
from pytest_hyperv.images import ImageStore
from pytest_hyperv.machine import VirtualMachine
from pytest_hyperv.progress import Lines
from pytest_hyperv.spec import GIB, Image, MachineSpec
from pytest_hyperv.states.declared import hyperv_state
from pytest_hyperv.states.store import StateStore

BOOT = 600.0
FILL = "mount -o remount,size=90% /dev/shm && perl -e 'my $m = q(A) x (1<<20); print $m for 1..3072' > /dev/shm/filled"
"""A guest's shell script that touches 3 GiB of memory, with bytes that no tool takes for empty pages."""


@hyperv_state(base="debian-12")
def small(vm: VirtualMachine) -> None:
    """What baselines have too: the booted image."""
    vm.run(["true"]).check()


@hyperv_state(base="debian-12")
def filled(vm: VirtualMachine) -> None:
    """A guest whose memory is in use."""
    vm.sh(FILL).check()


@dataclass
class OwnMachines:
    """Machines of this package, in a cache of the benchmark."""

    cache: Path

    def __post_init__(self) -> None:
        self.backend = QemuBackend(self.cache)
        self._states = StateStore(self.cache / "states", self.backend)
        self.image: Image = ImageStore(self.cache / "images").get("debian-12")

    def state(self, *, full: bool) -> Path:
        """The state of a booted 512 MiB guest, or of a 4 GiB one that has 3 GiB in use; built when it is not there."""
        spec = MachineSpec(memory=4 * GIB) if full else MachineSpec()
        return self._states.ensure(self.image, spec, Lines(print), filled if full else small)

    def without_spare(self, state: Path) -> float:
        """Seconds from nothing to a guest's first answer."""
        began = time.perf_counter()
        machine = self.backend.clone(state, "benchmark")
        took = time.perf_counter() - began
        machine.discard()
        return took

    def with_spare(self, state: Path) -> float:
        """Seconds from a warm spare to a guest's first answer."""
        machine = self.backend.clone(state, "benchmark")
        machine.warm()
        began = time.perf_counter()
        machine.resume()
        took = time.perf_counter() - began
        machine.discard()
        return took

    def booted(self, state: Path) -> QemuMachine:
        """A machine to be booted again and again."""
        return self.backend.clone(state, "benchmark")

    def close(self) -> None:
        """Let go of the states."""
        self._states.close()


def reboot(machine: QemuMachine) -> float:
    """Seconds from the cut of its power to the guest's first answer, by the package's own calls."""
    began = time.perf_counter()
    machine.kill()
    machine.start(BOOT)
    return time.perf_counter() - began
