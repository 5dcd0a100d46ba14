"""What the golden Debian guest holds beside its packages: what makes it boot fast and quietly.

Without hardware virtualization every program started at boot costs 0.1 to 0.5 s, so what a test does not need at once
is *unwanted*: not started at boot, and still there for whoever starts it or depends on it (a link to /dev/null in a
``.wants`` folder, systemd.unit(5)). Only what acts by itself at odd times is masked.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

KERNEL_OPTIONS = (
    "console=tty0 console=ttyS0,115200 net.ifnames=0 panic=0 mitigations=off audit=0 cryptomgr.notests quiet"
)
"""The last console is where systemd writes; a panic goes to both. The network card is eth0 on every hypervisor."""

BOOT_MODULES = (
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "virtio_console",
    "pvpanic_pci",
    "sd_mod",
    "hv_vmbus",
    "hv_storvsc",
    "hv_netvsc",
)
"""What the initial RAM disk loads: how a root disk is reached on QEMU and Hyper-V, and what tells the host of a panic.
NVMe and ext4 are in the kernel. On QEMU the last three complain on the console that there is no VMBus."""

UNWANTED = {
    "sysinit.target.wants": (
        "dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount sys-kernel-config.mount cryptsetup.target "
        "integritysetup.target veritysetup.target systemd-ask-password-console.path systemd-binfmt.service "
        "systemd-firstboot.service systemd-pcrphase-sysinit.service systemd-pcrphase.service "
        "systemd-random-seed.service systemd-repart.service systemd-sysusers.service systemd-update-utmp.service "
        "systemd-journal-flush.service systemd-machine-id-commit.service proc-sys-fs-binfmt_misc.automount"
    ),
    "multi-user.target.wants": (
        "dbus.service systemd-logind.service systemd-ask-password-wall.path systemd-update-utmp-runlevel.service "
        "systemd-user-sessions.service getty.target"
    ),
    "graphical.target.wants": "systemd-update-utmp-runlevel.service",
    "local-fs.target.wants": "systemd-remount-fs.service",
    "timers.target.wants": "systemd-tmpfiles-clean.timer",
    "sockets.target.wants": "systemd-initctl.socket systemd-journald-audit.socket",
}

MASKED = (
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer e2scrub_reap.service "
    "systemd-pstore.service"
)
MASKED_GENERATORS = "bless-boot getty gpt-auto hibernate-resume integritysetup rc-local system-update veritysetup"

QUIET_SUBSYSTEMS = (
    "bdi clockevents clocksource container event_source graphics mem memory memory_tiering node thermal vc vtconsole "
    "wakeup workqueue tty"
)
"""Devices no rule does anything about; /dev is filled by the kernel itself."""

COLDPLUG = f"""[Service]
ExecStart=
ExecStart=-udevadm trigger --type=devices --action=add --prioritized-subsystem=virtio-ports,block,net \\
    {" ".join(f"--subsystem-nomatch={subsystem}" for subsystem in QUIET_SUBSYSTEMS.split())}
"""

DEVICE_RULES = """# KVM where the processor has it (00C2 is SVM, 0085 VMX); fast ciphers once something asks for them.
SUBSYSTEM=="cpu", ENV{MODALIAS}=="*feature:*00C2*", RUN{builtin}+="kmod load kvm_amd"
SUBSYSTEM=="cpu", ENV{MODALIAS}=="*feature:*0085*", RUN{builtin}+="kmod load kvm_intel"
SUBSYSTEM=="cpu", ENV{MODALIAS}=""
# A machine with a network card starts the network; a machine without has nothing to wait for.
SUBSYSTEM=="net", ACTION=="add", KERNEL=="eth*", TAG+="systemd", \\
    ENV{SYSTEMD_WANTS}+="systemd-networkd.service systemd-resolved.service"
"""

MODULE_RULES = """# A panic is told by pvpanic; writing it to firmware variables takes seconds.
blacklist efi_pstore
"""

NETWORK = """[Match]
Name=eth*

[Network]
DHCP=yes
KeepConfiguration=static
"""

POWER_BUTTON = "event=button/power.*\naction=/bin/systemctl poweroff\n"

CONSOLE = """[Unit]
Description=Console on the serial line, quiet until somebody presses Enter
ConditionPathExists=/dev/ttyS0

[Service]
ExecStart=-/sbin/agetty --wait-cr --skip-login --login-program /usr/local/sbin/console-login \\
    --keep-baud 115200 ttyS0 vt220
Type=idle
Restart=always
UtmpIdentifier=ttyS0
TTYPath=/dev/ttyS0
TTYReset=yes
TTYVHangup=yes
KillMode=process
SendSIGHUP=yes

[Install]
WantedBy=multi-user.target
"""

CONSOLE_LOGIN = """#!/bin/sh
# Root needs no password while nothing but this console reaches the machine.
for device in /sys/class/net/*; do
    [ "$device" = /sys/class/net/lo ] || exec /bin/login
done
exec /bin/login -f root
"""

TINY_INITRAMFS = f'AUTO_MODULES=no\nMICROCODE=no\nINCLUDE_MODULES="{",".join(BOOT_MODULES)}"\n'

SOURCES = """deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
"""

FILES = {
    "etc/hostname": "debian\n",
    "etc/hosts": "127.0.0.1 localhost debian\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/acpi/events/power-button": POWER_BUTTON,
    "etc/modprobe.d/golden.conf": MODULE_RULES,
    "etc/udev/rules.d/70-golden.rules": DEVICE_RULES,
    "etc/systemd/network/80-dhcp.network": NETWORK,
    "etc/systemd/journald.conf.d/golden.conf": "[Journal]\nStorage=volatile\n",
    "etc/systemd/system/serial-console.service": CONSOLE,
    "etc/systemd/system/systemd-udev-trigger.service.d/golden.conf": COLDPLUG,
    "etc/tiny-initramfs/tiny-initramfs.conf": TINY_INITRAMFS,
}
PROGRAMS = {"usr/local/sbin/console-login": CONSOLE_LOGIN}
LINKS = {
    "etc/systemd/system/default.target": "/lib/systemd/system/multi-user.target",
    "etc/systemd/system/multi-user.target.wants/serial-console.service": "/etc/systemd/system/serial-console.service",
    "etc/tmpfiles.d/systemd-nologin.conf": "/dev/null",
}


def guest_tree(more: Mapping[str, str] | None = None) -> bytes:
    """A tar file, owned by root throughout, to unpack over the guest's root before the kernel is installed.

    ``more`` are files that one image has beyond the others, by their paths.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tree:
        for path, text in {**FILES, **(more or {})}.items():
            _add(tree, path, text.encode(), 0o644)
        for path, text in PROGRAMS.items():
            _add(tree, path, text.encode(), 0o755)
        for path, target in {**LINKS, **_switched_off()}.items():
            link = tarfile.TarInfo(path)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tree.addfile(link)
    return packed.getvalue()


def _switched_off() -> dict[str, str]:
    unwanted = [f"system/{wants}/{unit}" for wants, units in UNWANTED.items() for unit in units.split()]
    masked = [f"system/{unit}" for unit in MASKED.split()]
    generators = [f"system-generators/systemd-{name}-generator" for name in MASKED_GENERATORS.split()]
    return {f"etc/systemd/{path}": "/dev/null" for path in [*unwanted, *masked, *generators]}


def _add(tree: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    tree.addfile(entry, io.BytesIO(content))
