"""A simulated Hyper-V host with this backend on it, for benchmarks: how fast it is says nothing of a real host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.images import DiskFacts, ImageStore
from pytest_hyperv.progress import Silent
from pytest_hyperv.spec import MachineSpec
from pytest_hyperv.states.store import StateStore
from tests.hvsim.creation import make_host
from tests.hvsim.host.options import HostOptions

IMAGE, CREDENTIALS = "windows", "SIMULATED_GUEST"


class SimulatedLab:
    """One host in ``folder``, one cache beside it, one image in that."""

    def __init__(self, folder: Path, options: HostOptions) -> None:
        self.host, self.cache = folder / "host", folder / "cache"
        launcher = make_host(self.host, options)
        self.environment = {
            "PATH": f"{launcher.parent}{os.pathsep}{os.environ['PATH']}",
            CREDENTIALS: f"{options.user}:{options.password}",
        }
        disk = folder / "golden.vhdx"
        subprocess.run(["qemu-img", "create", "-q", "-f", "vhdx", str(disk), "64M"], check=True, timeout=60)
        facts = DiskFacts("windows", "psdirect", f"env:{CREDENTIALS}", powershell=True)
        ImageStore(self.cache / "images").import_disk(IMAGE, disk, facts, Silent())

    def enter(self) -> None:
        """Let this process, and those it starts, find the host."""
        os.environ.update(self.environment)


def open_backend(cache: Path) -> HypervBackend:
    """The backend of a process that has entered a lab."""
    return HypervBackend(cache, HostAddress(), native=False)


def ensure_state(cache: Path, backend: HypervBackend, spec: MachineSpec) -> Path:
    """The folder of the state of ``spec``, built when it is not there."""
    return StateStore(cache / "states", backend).ensure(ImageStore(cache / "images").get(IMAGE), spec, Silent())
