"""``pytest-hyperv setup``: the operating system's packages, through apt-get, each with the reason it is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

import click

from pytest_hyperv.errors import HostError

UPDATE_TIMEOUT, INSTALL_TIMEOUT = 300.0, 1800.0
"""Seconds apt-get may take to fetch its lists, and to fetch and install the packages."""


@dataclass(frozen=True)
class Package:
    """A package of Debian and Ubuntu. ``also`` are names it has in other releases."""

    name: str
    reason: str
    also: tuple[str, ...] = ()


PACKAGES = (
    Package("qemu-system-x86", "runs the machines where there is no Hyper-V"),
    Package("qemu-utils", "makes and converts disks"),
    Package("ovmf", "UEFI firmware, with and without Secure Boot"),
    Package("swtpm", "TPM 2.0 of the machines"),
    Package("mmdebstrap", "installs the golden Debian image's packages"),
    Package("debian-archive-keyring", "checks the signatures of those packages"),
    Package("uidmap", "builds the image without being root"),
    Package("fdisk", "partitions the image"),
    Package("mtools", "fills its EFI system partition"),
    Package("e2fsprogs", "fills its root file system"),
    Package("openssh-client", "makes the key of the image for Hyper-V, and reaches its guests"),
    Package("gcc", "compiles kernel modules for the guest"),
    Package("libc6-dev", "compiles kernel modules for the guest"),
    Package("make", "compiles kernel modules for the guest"),
    Package("libelf1", "compiles kernel modules for the guest", also=("libelf1t64",)),
)


@click.command()
@click.option("--check", is_flag=True, help="Only tell what is missing; exit status 1 when something is.")
@click.pass_context
def command(ctx: click.Context, check: bool) -> None:
    """Install the packages that machines and the golden image need (Debian and Ubuntu)."""
    missing = _missing()
    if not missing:
        click.echo(f"All {len(PACKAGES)} packages are installed.")
        return
    click.echo("Missing:" if check else "To be installed:")
    for package in missing:
        click.echo(f"  {package.name}: {package.reason}")
    if check:
        ctx.exit(1)
    _apt_get("update", timeout=UPDATE_TIMEOUT)
    _apt_get("install", "--yes", "--no-install-recommends", *(p.name for p in missing), timeout=INSTALL_TIMEOUT)
    still = [package.name for package in _missing()]
    if still:
        raise HostError(
            f"apt-get ended well, and these packages are still not installed: {', '.join(still)}.",
            hint="See its output above.",
        )
    click.echo("All packages are installed.")


def _missing() -> list[Package]:
    """The packages dpkg does not know as installed. Raises HostError on a system without dpkg."""
    if not (shutil.which("dpkg-query") and shutil.which("apt-get")):
        raise HostError(
            "This is neither Debian nor Ubuntu: there is no apt-get.",
            hint="Install with this system's own means: QEMU with qemu-img, OVMF, swtpm, mmdebstrap, mtools, sfdisk, "
            "mke2fs, gcc and make.",
        )
    names = [name for package in PACKAGES for name in (package.name, *package.also)]
    told = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *names],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    installed = {line.split()[0] for line in told.stdout.splitlines() if line.endswith(" installed")}
    return [package for package in PACKAGES if not installed & {package.name, *package.also}]


def _apt_get(*arguments: str, timeout: float) -> None:
    """Run apt-get as root, its output shown. Raises HostError."""
    command = [
        *_as_root(),
        *("env", "DEBIAN_FRONTEND=noninteractive"),
        *("apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"),
        *arguments,
    ]
    click.echo(f"$ {' '.join(command)}")
    sys.stdout.flush()
    try:
        subprocess.run(command, check=True, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise HostError(
            f"apt-get {arguments[0]} did not end within {timeout:.0f} s.",
            hint="See whether the mirror answers, then run pytest-hyperv setup again.",
        ) from error
    except subprocess.CalledProcessError as error:
        raise HostError(
            f"apt-get {arguments[0]} failed with status {error.returncode}.",
            hint="What it said is above. Mend that, then run pytest-hyperv setup again.",
        ) from error


def _as_root() -> list[str]:
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        raise HostError(
            "Installing packages needs root, and there is no sudo.", hint="Run pytest-hyperv setup as root."
        )
    return ["sudo"] if sys.stdin.isatty() else ["sudo", "--non-interactive"]
