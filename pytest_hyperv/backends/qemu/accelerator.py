"""Which QEMU is here, and whether KVM on this host really runs a guest.

``/dev/kvm`` may open and make machines and still fail at the first instruction of real firmware, so the probe starts
UEFI firmware under KVM and waits for its first words. The answer is kept until the next boot of the host or change of
QEMU.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_hyperv.backends.qemu.command_line import SANDBOX, escaped
from pytest_hyperv.backends.qemu.firmware import Firmware, choose
from pytest_hyperv.backends.qemu.tools import SYSTEM, program
from pytest_hyperv.errors import HostError

DEVICE = Path("/dev/kvm")
FIRST_WORDS = b"BdsDxe"
"""What UEFI firmware writes to its console once it looks for something to boot."""
TIMEOUT = 20.0
ANSWERS = "qemu-probe.json"


@dataclass(frozen=True)
class Probe:
    """What was found: QEMU's version, and why KVM cannot be used ("" when it can)."""

    version: str
    no_kvm: str

    @property
    def accelerator(self) -> str:
        """The value of QEMU's ``-accel``."""
        return "tcg" if self.no_kvm else "kvm"


def probe(cache: Path) -> Probe:
    """The answer for this host, from ``cache`` when it was asked before. Raises HostError when QEMU cannot be used."""
    key = _key()
    kept = cache / ANSWERS
    try:
        answer = json.loads(kept.read_text("utf-8"))
        if answer.pop("key") == key:
            return Probe(**answer)
    except (OSError, ValueError, KeyError, TypeError):
        kept.unlink(missing_ok=True)
    found = Probe(_version(), _why_not_kvm())
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = kept.with_name(f"{ANSWERS}.{os.getpid()}")
    fresh.write_text(json.dumps({"key": key, **asdict(found)}), "utf-8")
    fresh.replace(kept)
    return found


def _key() -> str:
    qemu = Path(program(SYSTEM)).stat()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{boot} {qemu.st_size} {qemu.st_mtime_ns} {DEVICE.exists() and os.access(DEVICE, os.R_OK | os.W_OK)}"


def _version() -> str:
    try:
        said = subprocess.run(
            [program(SYSTEM), "--version"], capture_output=True, text=True, timeout=TIMEOUT, check=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise HostError(f"{SYSTEM} does not run: {error}", hint="run `pytest-hyperv setup`.") from error
    return said.stdout.split("version ", 1)[-1].split()[0]


def _why_not_kvm() -> str:
    if not DEVICE.exists():
        return f"there is no {DEVICE}"
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"this user may not open {DEVICE}"
    folder = Path(tempfile.mkdtemp(prefix="pytest-hyperv-kvm-"))
    try:
        return _run_firmware(choose("off"), folder)
    finally:
        shutil.rmtree(folder)


def _run_firmware(firmware: Firmware, folder: Path) -> str:
    variables = shutil.copyfile(firmware.variables, folder / "vars.fd")
    process = subprocess.Popen(
        [
            *(program(SYSTEM), "-accel", "kvm", "-cpu", "host", "-machine", "q35", "-m", "256", "-sandbox", SANDBOX),
            *("-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"),
            *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={escaped(str(firmware.code))}"),
            *("-drive", f"if=pflash,unit=1,format=raw,file={escaped(str(variables))}"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        return _judge(process)
    finally:
        process.kill()
        process.communicate(timeout=TIMEOUT)


def _judge(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    deadline, seen = time.monotonic() + TIMEOUT, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while FIRST_WORDS not in seen:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return f"UEFI firmware did not come up under KVM in {TIMEOUT:.0f} s"
            piece = os.read(process.stdout.fileno(), 65536)
            seen += piece
            if not piece or b"KVM internal error" in seen:
                first = seen.decode("utf-8", "replace").strip().splitlines()
                return f"KVM is there but does not run a guest ({first[0] if first else 'QEMU ended'})"
    return ""
