"""A test-signed Windows driver on Hyper-V: added with pnputil, seen running through PowerShell Direct, taken away.

Written for the sample driver "toaster"; put the path of its build, with toaster.inf, toaster.sys, toaster.cat and
toaster.cer, into TOASTER_DRIVER. Secure Boot is off, because under it Windows loads no test-signed driver.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_hyperv import PowerShell, PowerShellResult, VirtualMachine

pytestmark = pytest.mark.hyperv(image="windows-server-2025", memory="4GiB", secure_boot=False, backend="hyperv")

FOLDER = r"C:\driver"
INF = rf"{FOLDER}\toaster.inf"


@pytest.fixture(scope="session")
def build() -> Path:
    """The folder with the driver's build."""
    named = os.environ.get("TOASTER_DRIVER", "")
    if not named or not Path(named, "toaster.inf").is_file():
        pytest.skip("TOASTER_DRIVER does not name a folder with toaster.inf")
    return Path(named)


@pytest.fixture
def guest(hyperv_vm: VirtualMachine, psdirect: PowerShell, build: Path) -> PowerShell:
    """A machine that takes test-signed drivers and trusts the one to be tested, which lies in it."""
    hyperv_vm.copy_in(build, FOLDER)
    for store in ("Root", "TrustedPublisher"):
        place = rf"Cert:\LocalMachine\{store}"
        psdirect.call("Import-Certificate", FilePath=rf"{FOLDER}\toaster.cer", CertStoreLocation=place).run().check()
    psdirect.ps("bcdedit /set testsigning on; exit $LASTEXITCODE").check()
    hyperv_vm.restart()
    return psdirect


def add_driver(guest: PowerShell) -> PowerShellResult:
    """What pnputil said; its exit code becomes the script's."""
    return guest.ps("param($inf) pnputil /add-driver $inf /install; exit $LASTEXITCODE", INF)


def test_the_driver_is_added_and_its_service_runs(guest: PowerShell) -> None:
    added = add_driver(guest)
    assert added.exit_code == 0, added.errors
    service = guest.call("Get-Service", Name="toaster").select("Name", "Status").one
    assert service.Status == "Running"


def test_the_driver_is_taken_away_completely(guest: PowerShell) -> None:
    add_driver(guest).check()
    find = r'param($inf) Get-WindowsDriver -Online | Where-Object OriginalFileName -like "*\$inf"'
    driver = guest.ps(find, "toaster.inf").one
    remove = "param($name) pnputil /delete-driver $name /uninstall /force; exit $LASTEXITCODE"
    removed = guest.ps(remove, driver.Driver)
    assert removed.exit_code == 0, removed.errors
    assert guest.call("Get-Service", Name="toaster*").all == []


def test_without_test_signing_the_driver_is_refused(
    hyperv_vm: VirtualMachine, psdirect: PowerShell, build: Path
) -> None:
    hyperv_vm.copy_in(build, FOLDER)
    assert add_driver(psdirect).exit_code != 0
