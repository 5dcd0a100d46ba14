"""A simulated Hyper-V host with a golden image of a Windows guest, and the suite's run on it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_hyperv.images import DiskFacts, ImageStore
from pytest_hyperv.progress import Silent
from tests.conformance.conftest import pytest_configure as pytest_configure  # the suite's marker, to read its modules
from tests.conformance_roads.suite import SuiteRun, run_suite
from tests.hvsim.creation import make_host
from tests.hvsim.host.inventory import left_over
from tests.hvsim.host.options import HostOptions

IMAGE = "windows-simulated"
ACCOUNT = "CONFORMANCE_GUEST"
"""The variable with the account of the guests."""
MACHINES = r"C:\Users\Public\Documents\Hyper-V\Virtual Hard Disks\pytest-hyperv\machines"
"""Where the files of machines lie."""
WORKERS = 3
"""The simulated host mostly waits, as a real one would."""
OPTIONS = HostOptions(edition="client", speed=4.0, boot=6.0, merge=1.0)
"""Time passes so slowly that a clock that was just set is still right. A client has the Default Switch."""


@dataclass(frozen=True)
class Road:
    """A simulated host, and where the inner runs keep their things."""

    folder: Path
    launcher: Path

    @property
    def cache(self) -> Path:
        """The cache folder, with the image of the guest in it."""
        return self.folder / "cache"

    def run(self, address: str, environment: dict[str, str]) -> SuiteRun:
        """The whole suite on that host, reached at ``address``."""
        arguments = [
            f"--numprocesses={WORKERS}",
            "--dist=loadfile",
            "--hyperv-backend=hyperv",
            f"--hyperv-host={address}",
            f"--hyperv-image={IMAGE}",
            f"--hyperv-cache={self.cache}",
        ]
        account = f"{OPTIONS.user}:{OPTIONS.password}"
        return run_suite(self.folder, arguments, {ACCOUNT: account, **environment})

    def left(self) -> list[str]:
        """What of machines is left on the host, in words."""
        return left_over(self.folder / "host", MACHINES)


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    """A host of its own for each module."""
    folder = tmp_path_factory.mktemp("road")
    road = Road(folder, make_host(folder / "host", OPTIONS))
    disk = folder / "guest.vhdx"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vhdx", str(disk), "64M"], check=True, timeout=60)
    facts = DiskFacts("windows", "psdirect", credentials=f"env:{ACCOUNT}", secure_boot="windows", powershell=True)
    ImageStore(road.cache / "images").import_disk(IMAGE, disk, facts, Silent())
    return road
