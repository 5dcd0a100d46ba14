"""The embedded default backend: QEMU on this Linux machine."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import psutil

from pytest_hyperv.backends.base import Machine
from pytest_hyperv.backends.qemu import bundle as bundles
from pytest_hyperv.backends.qemu import overlay
from pytest_hyperv.backends.qemu.accelerator import Probe, probe
from pytest_hyperv.backends.qemu.blueprint import Blueprint
from pytest_hyperv.backends.qemu.command_line import VARIABLES
from pytest_hyperv.backends.qemu.guest_install import server_program
from pytest_hyperv.backends.qemu.machine import QemuMachine
from pytest_hyperv.backends.qemu.network import QemuNetwork
from pytest_hyperv.backends.qemu.offer import capabilities
from pytest_hyperv.backends.qemu.saving import new_ram_file
from pytest_hyperv.backends.qemu.standing import Standing
from pytest_hyperv.backends.qemu.unanswered import Unanswered
from pytest_hyperv.capabilities import HostFacts, Offer
from pytest_hyperv.errors import ImageError, MachineStateError, StateError
from pytest_hyperv.identity import processes_marked
from pytest_hyperv.lease_file import LeaseFile
from pytest_hyperv.leases import LeaseBook
from pytest_hyperv.ledger import TOKEN, Ledger, Record
from pytest_hyperv.progress import Progress
from pytest_hyperv.psrp.calls import Script
from pytest_hyperv.spec import Image, MachineSpec

FIRST_BOOT = 600.0
"""Seconds the first boot of a state may take on a slow host under emulation; it takes 20 to 40 on two idle cores."""
SETTLE = ["sh", "-c", "systemctl is-system-running --wait; udevadm settle"]
"""A booted guest still loads modules for a second or two; what is saved must not."""


class QemuBackend:
    """See ``backends.base.Backend``."""

    name = "qemu"
    recycles = False

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._ledger = Ledger(cache / "machines")

    @cached_property
    def leases(self) -> LeaseBook:
        """The book in the cache."""
        return LeaseFile(self._cache, self.name)

    @cached_property
    def _probe(self) -> Probe:
        return probe(self._cache)

    @property
    def summary(self) -> str:
        """Version and acceleration, for the header."""
        found = self._probe
        return f"QEMU {found.version}, {'emulated (TCG)' if found.no_kvm else 'KVM'}"

    def offer(self) -> Offer:
        """What this host can do. Raises HostError when QEMU or the plainest firmware is not installed."""
        facts = HostFacts(
            memory=psutil.virtual_memory().total,
            cpus=psutil.cpu_count() or 1,
            disk=shutil.disk_usage(_existing(self._cache)).free,
            os="linux",
            host="server",
        )
        return Offer(self.name, facts, capabilities(self._probe.no_kvm))

    def fingerprint(self, spec: MachineSpec) -> Mapping[str, str]:
        """Saved memory fits the same QEMU, acceleration, hardware and format, and holds one version of the server."""
        return {
            "qemu": self._probe.version,
            "accelerator": self._probe.accelerator,
            "hardware": Blueprint.of(spec, "linux", self._probe.accelerator).digest(),
            "server": hashlib.sha256(server_program()).hexdigest(),
            "format": str(bundles.FORMAT),
        }

    def build_state(self, image: Image, spec: MachineSpec, folder: Path, progress: Progress) -> None:
        """Boot ``image``, wait until it has settled, and save it."""
        if image.format != "qcow2":
            raise ImageError(
                f"the image {image.name} is a {image.format.upper()} disk, made for Hyper-V",
                hint="import it again for QEMU: pytest-hyperv images import NAME DISK --guest-road agent.",
                image=image.name,
            )
        blueprint = Blueprint.of(spec, image.os_family, self._probe.accelerator)
        record = self._ledger.open(self.name, f"first boot of {image.name}", memory=spec.memory, cpus=spec.cpus)
        machine = QemuMachine(self._ledger, record, blueprint, (image.disk,))
        try:
            with progress.task(f"Preparing {image.name} ({spec.summary})", steps=4 if image.powershell else 3) as task:
                task.step("booting")
                overlay.make_template(record.folder, image.virtual_size)
                shutil.copyfile(blueprint.firmware.variables, record.folder / VARIABLES)
                machine.start(FIRST_BOOT, new_ram_file(record.folder / bundles.RAM, blueprint.ram_size))
                task.step("waiting until the guest has settled")
                if image.os_family == "linux":
                    machine.session.run(SETTLE, timeout=FIRST_BOOT)
                if image.powershell:
                    task.step("opening PowerShell")
                    machine.powershell.run(Script("$PSVersionTable.PSVersion")).check()
                task.step("saving")
                machine.save_as_state(folder)
        finally:
            machine.discard()

    def clone(self, state: Path, purpose: str) -> QemuMachine:
        """A machine made from the bundle in ``state``, its guest answering, its clock right."""
        machine = self.running(state, purpose)
        try:
            machine.verify_ready()
        except Unanswered as error:
            machine.discard()
            raise StateError(
                f"the session that {state.name} was saved with does not answer: {error.message}",
                hint="see what in the recipe, or in the image, stops it.",
                state=state.name,
            ) from error
        except BaseException:
            machine.discard()
            raise
        return machine

    def saved_spec(self, state: Path) -> MachineSpec:
        """What the machines of the bundle in ``state`` are."""
        return bundles.read(state).spec

    def attach(self, record: Record, *, guest: bool) -> QemuMachine:
        """The machine of a record, which another process made, by way of its sockets.

        Of a machine that a living run holds, the guest's agent is the road left, and only when that run lets it go.
        """
        standing = Standing.read(record.folder)
        if standing is None:
            raise MachineStateError(f"{record.name} is still being made", hint="try again.", machine=record.name)
        blueprint = Blueprint.of(standing.spec, standing.os_family, standing.accelerator)
        machine = QemuMachine(self._ledger, record, blueprint, standing.below)
        machine.attach(standing, processes_marked(TOKEN, record.token), guest=guest)
        return machine

    def save_state(self, machine: Machine, folder: Path) -> None:
        """Save a machine of this backend with its memory; it stands on the disks of the state it was made from."""
        assert isinstance(machine, QemuMachine)
        machine.save_as_state(folder)

    def remove_state(self, state: Path) -> None:
        """All of a state lies in its folder."""

    def open_network(self, purpose: str) -> QemuNetwork:  # noqa: ARG002 - nothing of it needs to be written down
        """A network within this process."""
        return QemuNetwork()

    def close(self) -> None:
        """Nothing is held beyond the machines."""

    def running(self, state: Path, purpose: str) -> QemuMachine:
        """A machine made from the bundle in ``state`` whose processors run; its guest has not answered yet."""
        bundle = bundles.read(state)
        record = self._ledger.open(self.name, purpose, memory=bundle.spec.memory, cpus=bundle.spec.cpus)
        blueprint = Blueprint.of(bundle.spec, bundle.os_family, bundle.accelerator)
        machine = QemuMachine(self._ledger, record, blueprint, bundle.layers)
        try:
            machine.enter(bundle)
        except BaseException:
            machine.discard()
            raise
        return machine


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
