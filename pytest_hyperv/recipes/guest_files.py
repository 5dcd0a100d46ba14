"""What the golden Debian guest holds beside its packages: settings that make it boot fast, quietly and with nothing unique."""

from __future__ import annotations

import io
import tarfile

BOOT_MODULES = (
    "virtio_pci virtio_blk virtio_scsi sd_mod hv_vmbus hv_storvsc hv_netvsc".split()
)
"""What the initial RAM disk carries: how a root disk is reached on QEMU and on Hyper-V. NVMe and ext4 are in the kernel."""

KERNEL_OPTIONS = "console=tty0 console=ttyS0,115200 net.ifnames=0 panic=0 mitigations=off audit=0 quiet"

MASKED_UNITS = (
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer "
    "e2scrub_reap.service systemd-pstore.service getty@tty1.service systemd-firstboot.service"
).split()

INITRAMFS_HOOK = f"""#!/bin/sh
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules {" ".join(BOOT_MODULES)}
"""

CONSOLE_DROP_IN = """[Service]
ExecCondition=/bin/sh -c 'set -- /sys/class/net/*; [ "$*" = /sys/class/net/lo ]'
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noclear --keep-baud 115200 %I vt220
"""

SOURCES = """deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
"""

FILES: dict[str, str] = {
    "etc/hostname": "debian\n",
    "etc/hosts": "127.0.0.1 localhost debian\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/initramfs-tools/conf.d/golden": "MODULES=list\nCOMPRESS=lz4\nRESUME=none\nFSTYPE=ext4\nBUSYBOX=n\nKEYMAP=n\n",
    "etc/modules-load.d/golden.conf": "# Tells the host of a kernel panic.\npvpanic-pci\n",
    "etc/systemd/journald.conf.d/golden.conf": "[Journal]\nStorage=volatile\n",
    "etc/systemd/system/serial-getty@ttyS0.service.d/golden.conf": CONSOLE_DROP_IN,
}


def guest_tree() -> bytes:
    """A tar file, owned by root throughout, to unpack over the guest's root before the kernel is installed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tree:
        for path, text in FILES.items():
            _add(tree, path, text.encode(), 0o644)
        _add(tree, "etc/initramfs-tools/hooks/golden", INITRAMFS_HOOK.encode(), 0o755)
        for unit in MASKED_UNITS:
            link = tarfile.TarInfo(f"etc/systemd/system/{unit}")
            link.type, link.linkname = tarfile.SYMTYPE, "/dev/null"
            tree.addfile(link)
    return packed.getvalue()


def _add(tree: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    tree.addfile(entry, io.BytesIO(content))
