"""Machines in which the peer plays ``pwsh``: a state of debian-12 with the peer's session open, built once per cache.

The golden image has no Python. Debian's packages of it and the peer's libraries are fetched on the host and copied in,
and a ``pwsh`` in the guest's PATH starts the peer on its standard streams.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from pytest_hyperv.backends.qemu.backend import QemuBackend
from pytest_hyperv.backends.qemu.machine import QemuMachine
from pytest_hyperv.errors import ImageError, StateError
from pytest_hyperv.images import ImageStore
from pytest_hyperv.machine import VirtualMachine
from pytest_hyperv.programs import run_program
from pytest_hyperv.progress import Progress
from pytest_hyperv.psrp.calls import Script
from pytest_hyperv.spec import Image, MachineSpec
from pytest_hyperv.states.store import StateStore
from pytest_hyperv.trees import copy_tree_in
from tests.psrp.peer import vocabulary

IMAGE = "debian-12"
PYTHON = ("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib")
"""Debian packages; everything else they need is in the image."""
LIBRARIES = tuple(f"{name}=={version(name)}" for name in ("psrpcore", "cryptography"))
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
LEFT_OUT = ("share", "lib/python3.11/pydoc_data", "lib/python3.11/test", "lib/python3.11/unittest")
"""Below /usr: what a peer never reads."""
FOLDER = "opt/peer"
PWSH = f'#!/bin/sh\nPYTHONPATH=/{FOLDER} exec python3.11 -m peer "$@"\n'
KEPT = "said before the machine was saved"
"""What the saved session holds in its variable."""

FETCH = 300.0
COPY = 300.0
CALL = 120.0


class NothingToFetch(Exception):
    """This host cannot get a Python for the guest; says why."""


class PeerBackend(QemuBackend):
    """The embedded backend, except that its states hold the peer with an open session."""

    def fingerprint(self, spec: MachineSpec) -> Mapping[str, str]:
        """What went into the guest counts too."""
        return {**super().fingerprint(spec), "peer": _digest()}

    def build_state(self, image: Image, spec: MachineSpec, folder: Path, progress: Progress) -> None:
        """Put the peer into a machine of the plain state, open its session, and save it. Raises NothingToFetch."""
        plain = StateStore(self._cache / "states", QemuBackend(self._cache)).ensure(image, spec, progress)
        with (
            progress.task(f"Putting a PowerShell peer into {image.name}", steps=4) as task,
            tempfile.TemporaryDirectory() as scratch,
        ):
            task.step("fetching Python for the guest")
            tree = _tree_for_guest(Path(scratch))
            machine = self.clone(plain, f"first start of the peer in {image.name}")
            try:
                task.step("copying it in")
                copy_tree_in(machine.session, tree, "/", COPY)
                task.step("opening PowerShell")
                machine.powershell.run(Script(vocabulary.KEEP, KEPT), timeout=CALL).check()
                task.step("saving")
                machine.save_as_state(folder)
            finally:
                machine.discard()


class PeerMachines:
    """Machines of one cache in which the peer plays ``pwsh``."""

    def __init__(self, cache: Path, progress: Progress) -> None:
        """Build their state when it is not there yet. Raises NothingToFetch, ImageError, HostError."""
        self._backend = PeerBackend(cache)
        self._image = ImageStore(cache / "images").get(IMAGE)
        states = StateStore(cache / "states", self._backend)
        self._state = states.ensure(self._image, MachineSpec(), progress)
        try:
            self._backend.running(self._state, "a look at the state").discard()
        except StateError:
            self._state = states.rebuild(self._image, MachineSpec(), progress)

    def clone(self, purpose: str) -> QemuMachine:
        """A machine from the state, its processors running, its PowerShell session waiting to be adopted."""
        return self._backend.clone(self._state, purpose)

    def as_tests_see(self, machine: QemuMachine) -> VirtualMachine:
        """The machine as the fixtures give it, on an image that says that it has PowerShell."""
        return VirtualMachine(machine, replace(self._image, powershell=True), self._backend.name, timeout=CALL)


def _digest() -> str:
    digest = hashlib.sha256("\0".join((*PYTHON, *LIBRARIES, *PLATFORMS, *LEFT_OUT, PWSH, KEPT)).encode())
    for source in _peer_sources():
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


def _peer_sources() -> list[Path]:
    return sorted((Path(__file__).parent / "peer").glob("*.py"))


def _tree_for_guest(scratch: Path) -> Path:
    """What is to lie in the guest's root folder. Raises NothingToFetch."""
    packages, wheels, tree = scratch / "packages", scratch / "wheels", scratch / "tree"
    for folder in (packages, wheels, tree):
        folder.mkdir()
    try:
        _fetch(packages, wheels)
    except ImageError as error:
        raise NothingToFetch(f"a Python for the guest cannot be fetched: {error.message}") from error
    for package in packages.glob("*.deb"):
        run_program(["dpkg-deb", "--extract", str(package), str(tree)], timeout=FETCH)
    for name in LEFT_OUT:
        shutil.rmtree(tree / "usr" / name)
    for wheel in wheels.glob("*.whl"):
        shutil.unpack_archive(wheel, tree / FOLDER, format="zip")
    shutil.copytree(_peer_sources()[0].parent, tree / FOLDER / "peer", ignore=shutil.ignore_patterns("__pycache__"))
    pwsh = tree / "usr/local/bin/pwsh"
    pwsh.parent.mkdir(parents=True)
    pwsh.write_text(PWSH)
    pwsh.chmod(0o755)
    _compile_what_is_used(tree)
    return tree


def _fetch(packages: Path, wheels: Path) -> None:
    if platform.machine() != "x86_64":
        raise NothingToFetch(f"the guest is x86_64, this host is {platform.machine()}")
    run_program(["apt-get", "download", *PYTHON], cwd=packages, timeout=FETCH)
    matching = [f"--platform={name}" for name in PLATFORMS]
    run_program(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--python-version=3.11"),
            *(*matching, f"--dest={wheels}", *LIBRARIES),
        ],
        timeout=FETCH,
    )


def _compile_what_is_used(tree: Path) -> None:
    """Run the guest's Python once on the host, where bytecode is made in a second; under emulation it takes half a
    minute. Where it does not run, the guest does that work.
    """
    run_program(
        [str(tree / "usr/bin/python3.11"), "-c", "import peer.__main__"],
        env={"PYTHONHOME": str(tree / "usr"), "PYTHONPATH": str(tree / FOLDER), "PYTHONDONTWRITEBYTECODE": ""},
        timeout=FETCH,
        accepted=range(256),
    )
