"""The command line of one QEMU process, from what the machine is to be and where its parts lie.

Paths named without a folder lie in the machine's own folder, which is the process's working directory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_hyperv.backends.qemu.firmware import Firmware
from pytest_hyperv.backends.qemu.tools import SYSTEM, program
from pytest_hyperv.spec import MIB, MachineSpec, OsFamily

AGENT_PORT = "org.qemu.guest_agent.0"
SERVER_PORT = "org.pytest.hyperv.0"
POWERSHELL_PORT = "org.pytest.hyperv.powershell"
POWERSHELL_ID = "powershell-port"
"""QEMU tells of the opening and closing of a port in the guest only when the port has an id."""
DISK_NODE = "disk"
VARIABLES = "vars.fd"
CONSOLE = "console.log"
LOG = "qemu.log"
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


@dataclass(frozen=True)
class Ram:
    """Where guest memory lives: private anonymous pages, or a file that is written (shared) or copied on write."""

    path: Path | None = None
    shared: bool = False

    def option(self, size: int) -> str:
        """The value of ``-object`` for ``size`` bytes; the id stays the same so that saved states fit."""
        if self.path is None:
            return f"memory-backend-ram,id=ram0,size={size}"
        share = "on" if self.shared else "off"
        return f"memory-backend-file,id=ram0,size={size},share={share},mem-path={escaped(str(self.path))}"


@dataclass(frozen=True)
class Channels:
    """Numbers of inherited file descriptors: listening sockets, and the connected ones of TPM and network card.

    ``visitor`` is a second monitor, for other processes than the one that made the machine. It is no part of the
    hardware, nor is the screen that can be opened through it: saved states do not depend on them.
    """

    monitor: int
    agent: int
    server: int
    powershell: int
    tpm: int | None = None
    network: int | None = None
    visitor: int | None = None


def escaped(value: str) -> str:
    """A value with its commas doubled, as QEMU's option lists want them."""
    return value.replace(",", ",,")


def disk_chain(layers: Sequence[Path]) -> dict[str, Any]:
    """The block graph of qcow2 ``layers``, oldest first, the last one writable.

    Every backing link is spelt out, so the names written inside the files are never followed.
    """
    node: dict[str, Any] | None = None
    for layer in layers:
        top = layer is layers[-1]
        node = {
            "driver": "qcow2",
            "read-only": not top,
            "discard": "unmap",
            "cache": {"no-flush": True},
            "file": {"driver": "file", "filename": str(layer), "cache": {"no-flush": True}},
            "backing": node,
        }
    assert node is not None
    return {"node-name": DISK_NODE, **node}


def command_line(
    spec: MachineSpec,
    *,
    name: str,
    uuid: str,
    accelerator: str,
    firmware: Firmware,
    os_family: OsFamily,
    layers: Sequence[Path],
    ram: Ram,
    ram_size: int,
    channels: Channels,
    incoming: bool,
) -> list[str]:
    """All arguments, the program first. ``incoming`` makes the process wait for a saved state instead of booting."""
    return [
        program(SYSTEM),
        *("-name", f"guest={escaped(name)}", "-uuid", uuid),
        *("-nodefaults", "-no-user-config", "-display", "none", "-sandbox", SANDBOX),
        *("-machine", f"q35,memory-backend=ram0,smm={'on' if firmware.smm else 'off'},vmport=off,hpet=off"),
        *("-accel", accelerator, "-cpu", _cpu(spec, accelerator), "-smp", str(spec.cpus), "-m", f"{ram_size // MIB}M"),
        *("-object", ram.option(ram_size)),
        *_firmware(firmware),
        *_disk(layers, os_family),
        *_channels(channels),
        *(_visitor(channels.visitor) if channels.visitor is not None else ()),
        *(_tpm(channels.tpm) if channels.tpm is not None else ()),
        *_network(spec, os_family, channels.network, mac_of(uuid)),
        *("-device", "vmgenid,guid=auto", "-device", "pvpanic-pci", "-device", "virtio-rng-pci"),
        *("-device", "VGA,vgamem_mb=8"),
        *(("-device", "virtio-balloon-pci,free-page-reporting=on") if spec.dynamic_memory else ()),
        *("-boot", "menu=off,strict=on", "-action", "panic=pause,shutdown=poweroff,reboot=reset"),
        *("-rtc", "base=utc", "-d", "cpu_reset", "-D", LOG),
        *(("-incoming", "defer", "-S") if incoming else ()),
    ]


def _cpu(spec: MachineSpec, accelerator: str) -> str:
    if accelerator == "kvm":
        return "host" if spec.nested else "host,svm=off,vmx=off"
    return "max,la57=off" if spec.nested else "max,la57=off,svm=off"


def _firmware(firmware: Firmware) -> list[str]:
    secure = ["-global", "driver=cfi.pflash01,property=secure,value=on"] if firmware.smm else []
    code = f"if=pflash,unit=0,format=raw,readonly=on,file={escaped(str(firmware.code))}"
    return [*secure, "-drive", code, "-drive", f"if=pflash,unit=1,format=raw,file={VARIABLES}"]


def _disk(layers: Sequence[Path], os_family: OsFamily) -> list[str]:
    device = "virtio-blk-pci" if os_family == "linux" else "ide-hd"
    return [
        *("-blockdev", json.dumps(disk_chain(layers))),
        *("-device", f"{device},id=disk0,drive={DISK_NODE},bootindex=0"),
    ]


def _listening(name: str, fd: int) -> tuple[str, str]:
    return "-chardev", f"socket,id={name},fd={fd},server=on,wait=off"


def _visitor(fd: int) -> list[str]:
    """A monitor that waits for a client, and a screen that listens nowhere until it is told to."""
    return [*_listening("visitor", fd), "-mon", "chardev=visitor,mode=control", "-vnc", "none"]


def _channels(channels: Channels) -> list[str]:
    def port(number: int, name: str, fd: int, in_guest: str) -> tuple[str, ...]:
        device = f"virtserialport,bus=ports.0,nr={number},chardev={name},name={in_guest}"
        return *_listening(name, fd), "-device", device

    return [
        *_listening("monitor", channels.monitor),
        *("-mon", "chardev=monitor,mode=control"),
        *("-chardev", f"file,id=console,path={CONSOLE},append=on", "-serial", "chardev:console"),
        *("-device", "virtio-serial-pci,id=ports"),
        *port(1, "agent", channels.agent, AGENT_PORT),
        *port(2, "server", channels.server, SERVER_PORT),
        *port(3, "powershell", channels.powershell, f"{POWERSHELL_PORT},id={POWERSHELL_ID}"),
    ]


def _tpm(fd: int) -> list[str]:
    return [
        *("-chardev", f"socket,id=tpm,fd={fd}"),
        *("-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"),
    ]


def mac_of(uuid: str) -> str:
    """A machine's own hardware address on a private network: an administered one, with five bytes of its GUID."""
    digits = uuid.replace("-", "")[:10].rjust(10, "0")
    return ":".join(["02", *(digits[at : at + 2] for at in range(0, 10, 2))])


def _network(spec: MachineSpec, os_family: OsFamily, fd: int | None, mac: str) -> list[str]:
    """A card on a private network is QEMU's end of a connected socket: nothing listens anywhere."""
    if spec.network == "none":
        return ["-nic", "none"]
    model = "virtio-net-pci" if os_family == "linux" else "e1000e"
    if spec.network == "private":
        return ["-netdev", f"socket,id=net0,fd={fd}", "-device", f"{model},netdev=net0,mac={mac},romfile="]
    return ["-netdev", "user,id=net0", "-device", f"{model},netdev=net0,romfile="]
