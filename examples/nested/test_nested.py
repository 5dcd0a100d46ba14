"""Virtualization inside the guest: a program that runs a machine of its own through /dev/kvm.

On a host that cannot offer this, the tests are skipped with the reason.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_hyperv import VirtualMachine

pytestmark = pytest.mark.nested_virtualization

SOURCE = Path(__file__).parent / "inner.c"
INNER = "/root/inner"


@pytest.fixture(scope="session")
def inner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, linked statically so that it runs in any Linux guest."""
    if shutil.which("gcc") is None:
        pytest.fail("gcc is needed to compile inner.c. Run: pytest-hyperv setup", pytrace=False)
    program = tmp_path_factory.mktemp("nested") / "inner"
    command = ["gcc", "-static", "-O2", "-Wall", "-Werror", "-o", str(program), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        pytest.fail(f"inner.c does not compile:\n{done.stderr}", pytrace=False)
    return program


def test_the_guest_runs_a_machine_of_its_own(hyperv_vm: VirtualMachine, inner: Path) -> None:
    hyperv_vm.sh("modprobe kvm_amd 2>/dev/null || modprobe kvm_intel").check()
    hyperv_vm.wait_for_file("/dev/kvm", timeout=10)
    hyperv_vm.copy_in(inner, INNER)
    assert hyperv_vm.run([INNER, "6", "7"]).check().stdout == "42\n"
    assert hyperv_vm.run([INNER, "251", "257"]).check().stdout == "64507\n"


def test_without_kvm_the_program_says_what_is_missing(hyperv_vm: VirtualMachine, inner: Path) -> None:
    hyperv_vm.sh("modprobe -r kvm_amd kvm_intel; rm -f /dev/kvm")
    hyperv_vm.copy_in(inner, INNER)
    told = hyperv_vm.run([INNER, "6", "7"])
    assert not told
    assert "open /dev/kvm" in told.stderr
