"""Build the golden image ``debian-12``, or the one for Hyper-V, from nothing but Debian's packages."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from pytest_hyperv.errors import ImageError
from pytest_hyperv.programs import find_program, run_program
from pytest_hyperv.progress import Task
from pytest_hyperv.recipes import ssh_server
from pytest_hyperv.recipes.disk import DiskPlan, make_disk
from pytest_hyperv.recipes.guest_files import KERNEL_OPTIONS, SOURCES, guest_tree
from pytest_hyperv.recipes.kbuild import pack_kbuild
from pytest_hyperv.spec import GIB, SSH_KEY, GuestRoad

NAME = "debian-12"
FOR_HYPERV = "debian-12-hyperv"
SUITES = ("bookworm", "bookworm-updates", "bookworm-security")
MIRROR = "http://deb.debian.org/debian"
MIRROR_VARIABLE = "PYTEST_HYPERV_MIRROR"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

DISK_SIZE = 4 * GIB
BOOTSTRAP_TIMEOUT = 1200.0
"""Seconds for downloading and installing the packages; a slow mirror takes minutes."""

PACKAGES = (
    "systemd-sysv",
    "systemd-resolved",
    "udev",
    "kmod",
    "dbus",
    "iproute2",
    "procps",
    "acpid",
    "linux-image-cloud-amd64",
    "tiny-initramfs",
    "qemu-guest-agent",
    "hyperv-daemons",
)
BOOT_PACKAGES = ("shim-signed", "shim-helpers-amd64-signed", "grub-efi-amd64-signed")

APT_SETTINGS = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Force", "Acquire::Retries")
"""Settings of the host's apt that decide how packages are fetched: proxies, checks, address family."""

LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
"""Left out of the packages while they are installed; the finished guest installs its packages whole."""

MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
PREFERENCES = b"Package: usrmerge\nPin: release *\nPin-Priority: -1\n"
"""The guest is born with a merged /usr; the package that would merge it brings 50 MB of perl."""

SCRATCH_NOTE = "scratch-folder"
"""A file in the building folder that names a folder outside of it."""

NETWORK_TROUBLE = re.compile("Failed to fetch|Could not connect|Unable to connect|Temporary failure|timed out|Hash Sum")


@dataclass(frozen=True)
class Built:
    """What a recipe leaves in its folder: a raw disk, and facts for the catalogue."""

    disk: Path
    virtual_size: int
    kernel: str
    guest_road: GuestRoad = "agent"
    credentials: str = ""


@dataclass(frozen=True)
class _Flavour:
    """What one image has beyond the other: packages, files by their paths in the guest, and hooks of mmdebstrap."""

    name: str
    packages: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    hooks: tuple[str, ...] = ()


def build(folder: Path, task: Task) -> Built:
    """Make ``disk.raw`` and ``kbuild.tar`` in ``folder``, which must be empty and private. Raises ImageError.

    Announces four steps. As root it needs no name space; any other user needs sub-uids (subuid(5)).
    """
    return _build(_Flavour(NAME), folder, task)


def build_for_hyperv(folder: Path, task: Task) -> Built:
    """The same with an SSH server, and its private key in ``folder``: Hyper-V has no agent's port into a guest."""
    public = ssh_server.make_key(folder / SSH_KEY, image=FOR_HYPERV)
    hooks = (ssh_server.NO_HOST_KEYS,)
    flavour = _Flavour(FOR_HYPERV, ssh_server.PACKAGES, ssh_server.server_files(public), hooks)
    return replace(_build(flavour, folder, task), guest_road="ssh", credentials=f"key:{ssh_server.USER}")


def _build(flavour: _Flavour, folder: Path, task: Task) -> Built:
    prefix = _namespace()
    with _scratch(folder, prefix) as scratch:
        task.step("downloading and installing Debian packages")
        debs = folder / "debs"
        debs.mkdir()
        tree = folder / "root.tar"
        _bootstrap(flavour, folder, tree, debs, scratch)
        task.step("unpacking the boot programs")
        root_uuid = str(uuid.uuid4())
        kernel = _kernel_of(debs)
        boot_files = _boot_files(debs, folder / "boot", root_uuid)
        task.step("laying out the disk")
        disk = folder / "disk.raw"
        plan = DiskPlan(size=DISK_SIZE, root_uuid=root_uuid, boot_files=boot_files)
        make_disk(disk, plan, tree, in_namespace=prefix, scratch=scratch, image=flavour.name)
        tree.unlink()
        task.step("packing the kernel's build tree")
        pack_kbuild(debs, folder / "kbuild.tar", kernel=kernel, image=flavour.name)
    return Built(disk=disk, virtual_size=DISK_SIZE, kernel=kernel)


def _namespace() -> list[str]:
    """What to put before a command that must give files to any owner."""
    mmdebstrap = find_program("mmdebstrap", image=NAME)
    if os.geteuid() == 0:
        return []
    find_program("newuidmap", image=NAME)
    return [mmdebstrap, "--unshare-helper"]


@contextmanager
def _scratch(folder: Path, prefix: list[str]) -> Iterator[Path]:
    """A folder for the guest's tree while it is made; root's is below ``folder``, where a later build finds it."""
    if not prefix:
        scratch = folder / "scratch"
        scratch.mkdir()
        yield scratch
        return
    scratch = Path(tempfile.mkdtemp(prefix="pytest-hyperv-image-"))
    (folder / SCRATCH_NOTE).write_text(str(scratch))
    scratch.chmod(0o1777)
    try:
        yield scratch
    finally:
        forget_scratch(folder)


def forget_scratch(folder: Path) -> None:
    """Remove what a build in ``folder``, finished or killed, keeps outside of it. Raises ImageError."""
    note = folder / SCRATCH_NOTE
    if not note.exists():
        return
    scratch = Path(note.read_text())
    if scratch.is_dir():
        for own in [path for path in scratch.iterdir() if path.stat().st_uid == os.geteuid()]:
            shutil.rmtree(own)
        if any(scratch.iterdir()):
            everything = ["find", str(scratch), "-mindepth", "1", "-delete"]
            run_program([*_namespace(), *everything], timeout=120, image=NAME)
        scratch.rmdir()
    note.unlink()


def _bootstrap(flavour: _Flavour, folder: Path, tree: Path, debs: Path, scratch: Path) -> None:
    """Install the packages into a tar file ``tree`` and fetch the boot programs and headers into ``debs``.

    Always in name spaces of its own, root's too: what is mounted there goes away with the processes, however they end.
    """
    contents = {
        "guest.tar": guest_tree(flavour.files),
        "apt.conf": _apt_settings().encode(),
        "preferences": PREFERENCES,
        "sources.list": SOURCES.encode(),
    }
    files = {name: folder / name for name in contents}
    for name, content in contents.items():
        files[name].write_bytes(content)
    fetch = " ".join(BOOT_PACKAGES)
    included = ",".join([*PACKAGES, *flavour.packages])
    hooks = [
        f"--setup-hook=upload {files['apt.conf']} /etc/apt/apt.conf.d/00host",
        f"--setup-hook=upload {files['preferences']} /etc/apt/preferences.d/build",
        f"--essential-hook=tar-in {files['guest.tar']} /",
        '--customize-hook=mkdir "$1/debs" && cd "$1/debs" && kernel=$(ls "$1/lib/modules") '
        f'&& APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get download {fetch} linux-kbuild-6.1 '
        '"linux-headers-$kernel" "linux-headers-${kernel%-cloud-amd64}-common"',
        f"--customize-hook=sync-out /debs {debs}",
        '--customize-hook=rm -r "$1/debs" "$1/etc/apt/apt.conf.d/00host" "$1/etc/apt/preferences.d/build" '
        '"$1/etc/resolv.conf" "$1/etc/fstab" "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap" "$1"/boot/System.map-*',
        '--customize-hook=rm "$1"/etc/systemd/system/*.wants/systemd-resolved.service',
        f"--customize-hook=upload {files['sources.list']} /etc/apt/sources.list",
        *flavour.hooks,
    ]
    command = [
        *("mmdebstrap", "--mode=unshare", "--variant=apt", "--format=tar", f"--include={included}"),
        *(f"--keyring={KEYRING}", "--dpkgopt=force-unsafe-io", f"--hook-dir={MERGED_USR}"),
        *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
        *hooks,
        *("bookworm", "-", *_mirrors()),
    ]
    tries = Retrying(
        stop=stop_after_attempt(3),
        wait=wait_exponential(2, max=20),
        retry=retry_if_exception_type(_DownloadFailed),
        reraise=True,
    )
    for attempt in tries:
        with attempt, tree.open("wb") as out:
            _run_bootstrap(command, scratch, out.fileno())


class _DownloadFailed(ImageError):
    """The mirror did not give what was asked of it; worth another try."""


def _run_bootstrap(command: list[str], scratch: Path, out: int) -> None:
    try:
        run_program(command, timeout=BOOTSTRAP_TIMEOUT, image=NAME, env={"TMPDIR": str(scratch)}, stdout=out)
    except ImageError as error:
        if not NETWORK_TROUBLE.search(error.message):
            raise
        raise _DownloadFailed(
            f"Debian's packages could not be downloaded. {error.message}",
            hint=f"See that the mirror answers; another one is named by {MIRROR_VARIABLE}, a proxy by http_proxy.",
            image=NAME,
        ) from error


def _mirrors() -> list[str]:
    """Lines of sources.list(5): the named mirror, else what the host's apt uses for this release, else Debian's own."""
    named = os.environ.get(MIRROR_VARIABLE, "").split()
    if named:
        archive = named[0].rstrip("/")
        security = named[1] if len(named) > 1 else archive + "-security"
        return [f"deb {security if suite.endswith('security') else archive} {suite} main" for suite in SUITES]
    if shutil.which("apt-get"):
        told = run_program(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"],
            timeout=60,
            image=NAME,
        )
        sources = [line.split() for line in told.splitlines()]
        lines = [f"deb {uri} {suite} main" for uri, suite, part in sources if suite in SUITES and part == "main"]
        if any(line.split()[2] == "bookworm" for line in lines):
            return list(dict.fromkeys(lines))
    return [f"deb {MIRROR}{'-security' if suite.endswith('security') else ''} {suite} main" for suite in SUITES]


def _apt_settings() -> str:
    """How the host's apt fetches packages, as apt.conf(5) text, and limits of our own."""
    lines = ['Acquire::Languages "none";', 'Acquire::Retries "3";', 'Acquire::http::Timeout "60";']
    if shutil.which("apt-config"):
        told = run_program(["apt-config", "dump"], timeout=60, image=NAME)
        lines += [line for line in told.splitlines() if line.startswith(APT_SETTINGS)]
    if Path("/etc/apt/auth.conf.d").is_dir():
        lines.append('Dir::Etc::netrcparts "/etc/apt/auth.conf.d/";')
    return "\n".join(lines) + "\n"


def _kernel_of(debs: Path) -> str:
    names = [deb.name.removeprefix("linux-headers-").split("_")[0] for deb in debs.glob("linux-headers-*_amd64.deb")]
    if len(names) != 1:
        raise ImageError(f"Expected the headers of one kernel, got {names}.", hint="Build again.", image=NAME)
    return names[0]


def _boot_files(debs: Path, unpacked: Path, root_uuid: str) -> dict[str, bytes]:
    """The EFI system partition: signed shim, signed grub beside it, and the configuration signed grub looks for."""
    for package in BOOT_PACKAGES:
        for deb in debs.glob(f"{package}_*.deb"):
            run_program(["dpkg-deb", "--extract", str(deb), str(unpacked)], timeout=60, image=NAME)
    shim, grub = unpacked / "usr/lib/shim", unpacked / "usr/lib/grub/x86_64-efi-signed"
    configuration = f"""set timeout=0
search --no-floppy --fs-uuid --set=root {root_uuid}
linux /vmlinuz root=UUID={root_uuid} rw fsck.mode=skip {KERNEL_OPTIONS}
initrd /initrd.img
boot
"""
    return {
        "EFI/BOOT/BOOTX64.EFI": (shim / "shimx64.efi.signed").read_bytes(),
        "EFI/BOOT/mmx64.efi": (shim / "mmx64.efi.signed").read_bytes(),
        "EFI/BOOT/grubx64.efi": (grub / "grubx64.efi.signed").read_bytes(),
        "EFI/debian/grub.cfg": configuration.encode(),
    }
